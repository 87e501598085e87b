"""One-vs-rest linear SVM with squared hinge loss, all classes solved at once, on vectors that need not fit in memory.

LIBLINEAR's L2-regularised L2-loss problem (Fan et al., JMLR 2008, eq. 2), for each class with labels y = ±1:

    min over w, b of   P(w, b) = ½ (|w|² + b²) + Σᵢ Cᵢ ξᵢ²,     ξᵢ = max(0, 1 − yᵢ (w·xᵢ + b))

P is convex and once differentiable, with a generalised Hessian I + 2 Xᵀ D C X, where D marks the samples inside the
margin. Newton's method with conjugate gradients and a line search (Keerthi & DeCoste, JMLR 2005; Galli & Lin, 2020)
needs products with X and Xᵀ only. The classes share those: what LIBLINEAR does class after class are here matrix
products, while each class keeps its own step lengths and stops on its own. They also share a preconditioner. The bias,
which costs no product, is brought near its minimum after every step.

When to stop is known: αᵢ = 2 Cᵢ ξᵢ, and any multiple s α of it, is a point of the dual problem, whose value bounds the
minimum from below; Σ yᵢ αᵢ (xᵢ, 1) = (w, b) − ∇P falls out of the gradient. With the best s

    D = ½ (Σᵢ αᵢ)² / (|(w, b) − ∇P|² + 2 Σᵢ Cᵢ ξᵢ²)  ≤  min P  ≤  P.

The bound is safe rather than tight: near the minimum P − D is about ½ |∇P|², as if all directions were as flat as the
regulariser alone makes them. P itself is usually ten times nearer to its minimum.

Of many classes and images, so many classes take each step together as memory allows; what is known of all of them lies
on disk (`room`). Classes don't depend on each other, so this changes nothing but how often the vectors are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from pipeline import room
from pipeline.classifiers.preconditioner import fit_preconditioner
from pipeline.classifiers.products import Products, products
from pipeline.classifiers.vectors import Scaling, Vectors
from pipeline.parallel import one_blas_thread, slices

CG_TOLERANCE = 0.3  # a Newton direction need not be exact: the next one starts from where it led
MAX_CG = 50
MAX_HALVINGS = 20
BIAS_STEPS = 8
SUFFICIENT = 0.01  # share of the predicted decrease that a step must bring (Armijo)
TOGETHER = 5 << 30  # bytes, within which classes take a step together
SCORED_BYTES = 1 << 28  # of weights that are laid out anew for a product
BY_IMAGE, BY_NUMBER = 40, 80  # bytes that a class needs meanwhile, for each image and for each number of its weights
LEFT = 0.9  # of the classes: when no more are unfinished, a direction is sought for these alone
ALIGNED = 4  # matrix products with a multiple of this many rows run faster
CPU = torch.device("cpu")
Costs = Callable[[np.ndarray], np.ndarray]  # signs → the weight of each image's loss


@dataclass(frozen=True)
class LinearSVM:
    """A fitted classifier: scores are scale · (raw − mean) @ weights.T + bias.

    Attributes:
        weights: float32 (classes, D), for scaled vectors.
        bias: float32 (classes,).
        scaling: of raw vectors.
        objective: float64 (classes,), P of each class.
        gap: float64 (classes,), at most this share of P above the minimum.
        passes: over the training vectors; reading them for a product with X or Xᵀ alone counts half.
    """

    weights: np.ndarray
    bias: np.ndarray
    scaling: Scaling
    objective: np.ndarray
    gap: np.ndarray
    passes: float

    def scores(self, vectors: Vectors, device: torch.device = CPU, workers: int = 1) -> np.ndarray:
        """Decision values of raw vectors, float32 (N, classes); so many classes at once as SCORED_BYTES hold."""
        multiply = products(vectors, self.scaling, device, workers)
        some = max(ALIGNED, SCORED_BYTES // (4 * self.weights.shape[1]) // ALIGNED * ALIGNED)
        out = np.empty((vectors.shape[0], len(self.bias)), np.float32)
        for part in slices(len(self.bias), some):
            found = multiply.forward(_padded(self.weights[part]))[: part.stop - part.start]
            out[:, part] = found.T + self.bias[part]
        return out


class Solver:
    """Training vectors, and a solution that moves on from one value of C to the next."""

    def __init__(
        self,
        vectors: Vectors,
        labels: np.ndarray,
        classes: int,
        scaling: Scaling | None = None,
        device: torch.device = CPU,
        workers: int = 1,
        multiply: Products | None = None,
    ) -> None:
        """Start at zero.

        Args:
            vectors: raw, N rows.
            labels: int (N,).
            classes: how many there are.
            scaling: of the raw vectors; None: measured on them.
            device: where products are computed.
            workers: threads, on CPUs.
            multiply: products with these vectors, so scaled; None: computed here.
        """
        self._scaling = scaling or Scaling.of(vectors, workers)
        self._products: Products = multiply or products(vectors, self._scaling, device, workers)
        with one_blas_thread():  # matrix products of more threads add up in another order
            self._preconditioner = fit_preconditioner(vectors, self._scaling, device, workers)
        self._labels = labels
        count, dimension = vectors.shape
        self._together = max(ALIGNED, TOGETHER // (BY_IMAGE * count + BY_NUMBER * dimension) // ALIGNED * ALIGNED)
        self._points = room.zeros((classes, dimension + 1), np.float64)
        self._gradients = room.zeros((classes, dimension + 1), np.float64)
        self._margins = room.zeros((classes, count), np.float32)
        self._passes = 0.0

    def solve(
        self,
        c: float,
        positive_weight: float = 1.0,
        tolerance: float = 0.01,
        max_steps: int = 50,
        go_on: Callable[[LinearSVM], bool] = lambda model: True,
    ) -> LinearSVM:
        """Continue from the present solution until every class is within `tolerance` · P of its minimum, or given up.

        Args:
            c: the weight C of the loss.
            positive_weight: samples of the class itself weigh this many times more than the others.
            tolerance: P − D as a share of P.
            max_steps: Newton steps.
            go_on: asked with where the solver starts, and with where each step led; False ends it there.
        """
        costs_of = partial(_costs, c=np.float32(c), of_class=np.float32(c * positive_weight))
        with one_blas_thread():
            return self._solve(costs_of, tolerance, max_steps, go_on)

    def _solve(
        self, costs_of: Costs, tolerance: float, max_steps: int, go_on: Callable[[LinearSVM], bool]
    ) -> LinearSVM:
        before = self._passes
        classes = len(self._points)
        objective, gap = np.full(classes, np.inf), np.full(classes, np.inf)
        active = np.arange(classes)
        for some in self._parts(active):
            self._set_bias(some, self._signs(some), costs_of(self._signs(some)))
        for step in range(max_steps + 1):
            for some in self._parts(active):
                objective[some], gap[some] = self._look(some, costs_of)
            wanted = go_on(self._model(objective, gap, before))
            active = active[gap[active] > tolerance]
            if len(active) == 0 or step == max_steps or not wanted:
                break
            moved = [self._newton_step(some, costs_of) for some in self._parts(active)]
            active = active[np.concatenate(moved) > 0]  # no step helps: float32 can't tell the difference any more
            if len(active) == 0:
                break
        return self._model(objective, gap, before)

    def _parts(self, active: np.ndarray) -> list[np.ndarray]:
        """Classes that take a step together."""
        return [active[start : start + self._together] for start in range(0, len(active), self._together)]

    def _signs(self, some: np.ndarray) -> np.ndarray:
        """Float32 (k, N): 1 for images of the class, -1 for others."""
        return np.where(some[:, None] == self._labels[None, :], np.float32(1), np.float32(-1))

    def _look(self, some: np.ndarray, costs_of: Costs) -> tuple[np.ndarray, np.ndarray]:
        """Where these classes are: P and the gap; the gradient is kept."""
        signs = self._signs(some)
        costs, slack, points = costs_of(signs), _slack(signs, self._margins[some]), self._points[some]
        gradient = points - self._backward(2 * costs * slack * signs)
        self._gradients[some] = gradient
        return _bounds(points, slack, gradient, costs)

    def _model(self, objective: np.ndarray, gap: np.ndarray, before: float) -> LinearSVM:
        weights = room.zeros((len(self._points), self._points.shape[1] - 1), np.float32)
        for some in slices(len(weights), self._together):
            weights[some] = self._points[some, :-1]
        return LinearSVM(
            weights,
            self._points[:, -1].astype(np.float32),
            self._scaling,
            objective.copy(),
            gap.copy(),
            self._passes - before,
        )

    def _newton_step(self, some: np.ndarray, costs_of: Costs) -> np.ndarray:
        signs, margins, gradient = self._signs(some), self._margins[some], self._gradients[some]
        costs = costs_of(signs)
        d, xd = self._direction(gradient, 2 * costs * (_slack(signs, margins) > 0))
        step = _step_lengths(self._points[some], margins, d, xd, gradient, signs, costs)
        self._points[some] += step[:, None] * d
        self._margins[some] += step[:, None].astype(np.float32) * xd
        self._set_bias(some, signs, costs)
        return step

    def _set_bias(self, some: np.ndarray, signs: np.ndarray, costs: np.ndarray) -> None:
        """Bring each bias near its minimum with all other weights as they are; margins suffice for that.

        Newton's method in one variable, whose derivative is piecewise linear and rises; a step that overshoots is
        halved.
        """
        margins, bias = self._margins[some], self._points[some, -1]
        slope, curvature = _bias_slope(bias, _slack(signs, margins), signs, costs)
        share = np.ones(len(some))
        for _ in range(BIAS_STEPS):
            move = -share * slope / curvature
            moved, tried = bias + move, margins + move[:, None].astype(np.float32)
            there = _bias_slope(moved, _slack(signs, tried), signs, costs)
            better = np.abs(there[0]) < np.abs(slope)
            bias, margins = np.where(better, moved, bias), np.where(better[:, None], tried, margins)
            slope, curvature = np.where(better, there[0], slope), np.where(better, there[1], curvature)
            share = np.where(better, 1, share / 2)
        self._margins[some], self._points[some, -1] = margins, bias

    def _direction(self, gradient: np.ndarray, curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve (I + Xᵀ diag(curvature) X) d = −∇P roughly by conjugate gradients; X·d falls out of it."""
        total = curvature.sum(axis=1, dtype=np.float64)
        d, xd = np.zeros_like(gradient), np.zeros(curvature.shape, np.float32)
        residual = -gradient
        p = self._preconditioner.apply(residual, total)
        squares = np.einsum("kd,kd->k", residual, p)
        goal = squares * CG_TOLERANCE**2
        going = np.arange(len(gradient))  # the classes that all arrays but d and xd are about
        for _ in range(MAX_CG):
            xp, product = self._normal(p, curvature)
            hp = p + product
            # A class that is done takes steps of length 0 until enough are, and then all of them are left out.
            step = np.where(squares > goal, squares / np.maximum(np.einsum("kd,kd->k", p, hp), 1e-300), 0)
            d[going] += step[:, None] * p
            xd[going] += step[:, None].astype(np.float32) * xp
            residual -= step[:, None] * hp
            towards = self._preconditioner.apply(residual, total)
            following = np.einsum("kd,kd->k", residual, towards)
            p = towards + (following / np.maximum(squares, 1e-300))[:, None] * p
            squares = following
            left = squares > goal
            if not left.any():
                break
            if left.sum() <= LEFT * len(going):
                going, curvature, total, goal = going[left], curvature[left], total[left], goal[left]
                residual, p, squares = residual[left], p[left], squares[left]
        return d, xd

    def _backward(self, values: np.ndarray) -> np.ndarray:
        """Values · (X, 1): float64 (k, D + 1)."""
        self._passes += 0.5
        sums = self._products.backward(_padded(values))[: len(values)]
        return np.hstack([sums, values.sum(axis=1, dtype=np.float64)[:, None]], dtype=np.float64)

    def _normal(self, points: np.ndarray, curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both in one pass: u = points · (X, 1)ᵀ and (curvature ∘ u) · (X, 1)."""
        self._passes += 1
        k = len(points)
        bias = points[:, -1:].astype(np.float32)
        xp, sums = self._products.normal(_padded(points[:, :-1].astype(np.float32)), _padded(curvature), _padded(bias))
        u = xp[:k]
        return u, np.hstack([sums[:k], (curvature * u).sum(axis=1, dtype=np.float64)[:, None]], dtype=np.float64)


def _padded(rows: np.ndarray) -> np.ndarray:
    """Rows of zeros behind, up to a multiple of ALIGNED; the rows themselves where there are none to add."""
    return rows if len(rows) % ALIGNED == 0 else np.pad(rows, ((0, -len(rows) % ALIGNED), (0, 0)))


def _costs(signs: np.ndarray, c: np.float32, of_class: np.float32) -> np.ndarray:
    return np.where(signs > 0, of_class, c)


def _slack(signs: np.ndarray, margins: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(0, 1 - signs * margins))


def _bias_slope(
    bias: np.ndarray, slack: np.ndarray, signs: np.ndarray, costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of P by the bias."""
    slope = bias - 2 * np.einsum("kn,kn,kn->k", costs, signs, slack, dtype=np.float64)
    return slope, 1 + 2 * np.einsum("kn,kn->k", costs, slack > 0, dtype=np.float64)


def _objective(points: np.ndarray, slack: np.ndarray, costs: np.ndarray) -> np.ndarray:
    losses = np.einsum("kn,kn,kn->k", costs, slack, slack, dtype=np.float64)
    return np.asarray(0.5 * np.einsum("kd,kd->k", points, points) + losses)


def _bounds(
    points: np.ndarray, slack: np.ndarray, gradient: np.ndarray, costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P of each class, and (P − D) / P."""
    primal = _objective(points, slack, costs)
    reached = points - gradient
    losses = np.einsum("kn,kn,kn->k", costs, slack, slack, dtype=np.float64)
    total = 2 * np.einsum("kn,kn->k", costs, slack, dtype=np.float64)
    dual = 0.5 * total**2 / np.maximum(np.einsum("kd,kd->k", reached, reached) + 2 * losses, 1e-300)
    return primal, (primal - dual) / np.maximum(primal, 1e-300)


def _step_lengths(
    points: np.ndarray,
    margins: np.ndarray,
    d: np.ndarray,
    xd: np.ndarray,
    gradient: np.ndarray,
    signs: np.ndarray,
    costs: np.ndarray,
) -> np.ndarray:
    """Halve each class's step until it brings enough; margins are at hand, so a try costs no product with X."""
    now = _objective(points, _slack(signs, margins), costs)
    slope = np.einsum("kd,kd->k", gradient, d)
    step = np.ones(len(points))
    for _ in range(MAX_HALVINGS):
        tried = _objective(
            points + step[:, None] * d, _slack(signs, margins + step[:, None].astype(np.float32) * xd), costs
        )
        short = tried > now + SUFFICIENT * step * slope
        if not short.any():
            return step
        step[short] /= 2
    step[short] = 0
    return step
