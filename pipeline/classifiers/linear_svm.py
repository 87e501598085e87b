"""One-vs-rest linear SVM with squared hinge loss, all classes solved at once.

LIBLINEAR's L2-regularised L2-loss problem (Fan et al., JMLR 2008, eq. 2), for each class k with labels y = ±1:

    min over w, b of   f(w, b) = ½ (|w|² + b²) + C Σᵢ max(0, 1 − yᵢ (w·xᵢ + b))²

f is convex and once differentiable, with a generalised Hessian I + 2C Xᵀ D X, where D marks the samples inside the
margin. Newton's method with conjugate gradients and a line search (Keerthi & DeCoste, JMLR 2005; Galli & Lin, 2020)
needs products with X and Xᵀ only. The classes share those: what LIBLINEAR does class after class are here matrix
products, while each class keeps its own step lengths and stops on its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CG_TOLERANCE = 0.1  # a Newton direction need not be exact: the next one starts from where it led
MAX_CG = 50
MAX_HALVINGS = 20
SUFFICIENT = 0.01  # share of the predicted decrease that a step must bring (Armijo)


@dataclass(frozen=True)
class LinearSVM:
    """A fitted classifier: scores are x @ weights.T + bias.

    Attributes:
        weights: float32 (classes, D).
        bias: float32 (classes,).
        objective: float64 (classes,), f at the solution.
        products: how many times X was multiplied, by a matrix with a column for each class still at work.
    """

    weights: np.ndarray
    bias: np.ndarray
    objective: np.ndarray
    products: int

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Decision values, float32 (N, classes)."""
        return np.asarray(x @ self.weights.T + self.bias, np.float32)


class _Problem:
    """Products with X, to which a column of ones is thought added, and the loss.

    Points are float64 (classes, D + 1), margins and what belongs to samples float32 (N, classes).
    """

    def __init__(self, x: np.ndarray, signs: np.ndarray, c: float) -> None:
        self._x, self._signs, self._c = x, signs, c
        self.products = 0

    def forward(self, points: np.ndarray) -> np.ndarray:
        """X·p for each class: float32 (N, k)."""
        self.products += 1
        narrow = points.astype(np.float32)
        return np.asarray(self._x @ narrow[:, :-1].T + narrow[:, -1])

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Xᵀ·v for each class: float64 (k, D + 1)."""
        self.products += 1
        return np.hstack([values.T @ self._x, values.sum(axis=0, dtype=np.float64)[:, None]], dtype=np.float64)

    def slack(self, margins: np.ndarray, active: np.ndarray) -> np.ndarray:
        """max(0, 1 − y·margin)."""
        return np.asarray(np.maximum(0, 1 - self._signs[:, active] * margins))

    def objective(self, points: np.ndarray, slack: np.ndarray) -> np.ndarray:
        """F of each class, float64 (k,)."""
        losses = np.einsum("nk,nk->k", slack, slack, dtype=np.float64)
        return np.asarray(0.5 * np.einsum("kd,kd->k", points, points) + self._c * losses)

    def gradient(self, points: np.ndarray, slack: np.ndarray, active: np.ndarray) -> np.ndarray:
        """∇f of each class."""
        return points - 2 * self._c * self.backward(slack * self._signs[:, active])

    def direction(self, gradient: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve (I + 2C Xᵀ D X) d = −∇f roughly by conjugate gradients; also gives X·d, which falls out of it."""
        d = np.zeros_like(gradient)
        xd = np.zeros(inside.shape, np.float32)
        residual = -gradient
        p = residual.copy()
        squares = np.einsum("kd,kd->k", residual, residual)
        goal = squares * CG_TOLERANCE**2
        for _ in range(MAX_CG):
            xp = self.forward(p)
            hp = p + 2 * self._c * self.backward(xp * inside)
            # A class that is done takes steps of length 0 until all are.
            step = np.where(squares > goal, squares / np.maximum(np.einsum("kd,kd->k", p, hp), 1e-300), 0)
            d += step[:, None] * p
            xd += step.astype(np.float32) * xp
            residual -= step[:, None] * hp
            following = np.einsum("kd,kd->k", residual, residual)
            p = residual + (following / np.maximum(squares, 1e-300))[:, None] * p
            squares = following
            if (squares <= goal).all():
                break
        return d, xd


def fit_linear_svm(
    x: np.ndarray,
    labels: np.ndarray,
    classes: int,
    c: float,
    start: LinearSVM | None = None,
    tolerance: float = 1e-4,
    max_steps: int = 100,
) -> LinearSVM:
    """Solve the problem above.

    Args:
        x: float32 (N, D).
        labels: int (N,).
        c: the weight C of the loss.
        start: a solution to start from (of a neighbouring C).
        tolerance: a class stops when its gradient is this much shorter than at zero, times the share of its rarer
            label (LIBLINEAR's rule).
        max_steps: Newton steps.
    """
    signs = np.full((len(x), classes), -1, np.float32)
    signs[np.arange(len(x)), labels] = 1
    problem = _Problem(x, signs, c)
    points = np.zeros((classes, x.shape[1] + 1))
    everyone = np.arange(classes)
    at_zero = np.linalg.norm(problem.gradient(points, np.ones_like(signs), everyone), axis=1)
    positives = np.bincount(labels, minlength=classes)
    rarer = np.maximum(np.minimum(positives, len(x) - positives), 1) / len(x)
    goal = tolerance * rarer * at_zero
    if start is not None:
        points = np.hstack([start.weights, start.bias[:, None]], dtype=np.float64)
    margins = problem.forward(points)
    active = everyone
    for _ in range(max_steps):
        slack = problem.slack(margins[:, active], active)
        gradient = problem.gradient(points[active], slack, active)
        going = np.linalg.norm(gradient, axis=1) > goal[active]
        active, slack, gradient = active[going], slack[:, going], gradient[going]
        if len(active) == 0:
            break
        d, xd = problem.direction(gradient, (slack > 0).astype(np.float32))
        step = _step_lengths(problem, points[active], margins[:, active], d, xd, gradient, active)
        points[active] += step[:, None] * d
        margins[:, active] += step.astype(np.float32) * xd
        active = active[step > 0]  # no step helps: float32 can't tell the difference any more
    objective = problem.objective(points, problem.slack(margins, everyone))
    return LinearSVM(points[:, :-1].astype(np.float32), points[:, -1].astype(np.float32), objective, problem.products)


def _step_lengths(
    problem: _Problem,
    points: np.ndarray,
    margins: np.ndarray,
    d: np.ndarray,
    xd: np.ndarray,
    gradient: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """Halve each class's step until it brings enough; margins are at hand, so a try costs no product with X."""
    now = problem.objective(points, problem.slack(margins, active))
    slope = np.einsum("kd,kd->k", gradient, d)
    step = np.ones(len(active))
    for _ in range(MAX_HALVINGS):
        tried = problem.objective(
            points + step[:, None] * d, problem.slack(margins + step.astype(np.float32) * xd, active)
        )
        short = tried > now + SUFFICIENT * step * slope
        if not short.any():
            return step
        step[short] /= 2
    step[short] = 0
    return step


@dataclass(frozen=True)
class Scaling:
    """Shift to zero mean and scale to unit mean length: one number for all dimensions, so their relations stay.

    Attributes:
        mean: float32 (D,), of train.
        scale: 1 / root of the mean squared length.
    """

    mean: np.ndarray
    scale: float

    @staticmethod
    def of(x: np.ndarray) -> Scaling:
        """Fit to the training vectors, float32 (N, D)."""
        mean = x.mean(axis=0, dtype=np.float64)
        squares = sum(float(np.vdot(row, row)) for row in x) / len(x) - float(mean @ mean)
        return Scaling(mean.astype(np.float32), float(1 / np.sqrt(max(squares, 1e-12))))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Scale into a new array."""
        out = x - self.mean
        out *= np.float32(self.scale)
        return np.asarray(out)
