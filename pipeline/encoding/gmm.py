"""Mixtures of Gaussians with diagonal covariances, by expectation and maximisation.

Responsibilities are sparse: in 64 dimensions a descriptor belongs to a handful of Gaussians, and to all others with
less than a millionth (Sánchez, Perronnin, Mensink & Verbeek, IJCV 2013, section 5.2, drop them likewise). So the log
densities are one matrix product, and everything behind it, the exponentials and the sums, touches only those few.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.compiled import compiled
from pipeline.encoding.kmeans import k_means, nearest
from pipeline.encoding.lanes import LANES, add_weighted, aligned, at_least, lowest_bit
from pipeline.passes import HERE, Arrays, Pass, Passes, Work, added

CHUNK = 1024
GROUP = 16  # chunks that are handed out together
ROWS = 256  # vectors whose log densities are at hand at once, whole LANES: they stay in the cache
SMALLEST_SHARE = 1e-6  # of the largest responsibility: smaller ones are ignored
VARIANCE_FLOOR = 1e-4  # of the largest variance of the data
NEVER = np.float32(-1e30)  # below any log density


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Attributes:
        weights: float32 (K,), positive, with sum 1.
        means: float32 (K, D).
        variances: float32 (K, D).
        log_likelihoods: float64 (iterations,), mean over the training vectors before each iteration's update.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    log_likelihoods: np.ndarray

    def quadratic(self) -> tuple[np.ndarray, np.ndarray]:
        """Log of weight × density as a linear function of (x, x²): float32 (K, 2·D) and (K,)."""
        precisions = 1 / self.variances.astype(np.float64)
        means = self.means.astype(np.float64)
        linear = np.concatenate([means * precisions, -0.5 * precisions], axis=1)
        constant = np.log(self.weights.astype(np.float64)) - 0.5 * (
            means.shape[1] * np.log(2 * np.pi)
            + np.log(self.variances.astype(np.float64)).sum(axis=1)
            + (means**2 * precisions).sum(axis=1)
        )
        return linear.astype(np.float32), constant.astype(np.float32)


@dataclass(frozen=True)
class Statistics:
    """Sums over some vectors, weighted by their responsibilities γ.

    Attributes:
        mass: (K,), Σ γ.
        moments: (K, 2·D), Σ γ x and Σ γ x².
        log_likelihood: Σ log p(x).
    """

    mass: np.ndarray
    moments: np.ndarray
    log_likelihood: float


def fit_mixture(
    x: np.ndarray,
    components: int,
    seed: int,
    iterations: int,
    passes: Passes = HERE,
    start: Mixture | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Mixture:
    """EM from k-means clusters, or from a given mixture.

    Args:
        x: float32 (N, D), N ≥ components.
        components: K.
        seed: of k-means.
        iterations: of EM.
        passes: who compares vectors with centres, and sums up for EM.
        start: a mixture to start from.
        advance: called with the number of iterations done.
    """
    mixture = start or from_clusters(x, k_means(x, components, seed, passes=passes), passes)
    floor = _floor(x)
    likelihoods = []
    for _ in range(iterations):
        found = statistics(x, mixture, passes)
        likelihoods.append(found.log_likelihood / len(x))
        mixture = _maximise(found, len(x), floor, mixture)
        advance(1)
    return Mixture(mixture.weights, mixture.means, mixture.variances, np.array(likelihoods))


def from_clusters(x: np.ndarray, centres: np.ndarray, passes: Passes = HERE) -> Mixture:
    """A Gaussian for each cluster: its share, mean and variance."""
    index, _ = nearest(x, centres, passes)
    counts = np.bincount(index, minlength=len(centres)).astype(np.float64)
    moments = np.zeros((len(centres), 2 * x.shape[1]))
    _add_moments(np.ascontiguousarray(x, np.float32), index, moments)
    previous = Mixture(np.full(len(centres), 1 / len(centres)), centres, np.ones_like(centres), np.empty(0))
    return _maximise(Statistics(counts, moments, 0.0), len(x), _floor(x), previous)


def statistics(x: np.ndarray, mixture: Mixture, passes: Passes = HERE) -> Statistics:
    """What one pass of EM sums up."""
    arrays = {"x": x, "weights": mixture.weights, "means": mixture.means, "variances": mixture.variances}
    products = 2.0 * x.size * len(mixture.means)
    mass, moments, total = passes.run(Pass(_expecting, arrays, len(x), CHUNK, GROUP, added, products, _expecting_there))
    return Statistics(mass, moments.reshape(len(mass), -1), float(total))


def _expecting(x: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> Work:
    expectation = Expectation(Mixture(weights, means, variances, np.empty(0)))

    def work(part: slice) -> Arrays:
        mass, moments = expectation.zeros()
        total = expectation.add(np.ascontiguousarray(x[part], np.float32), mass, moments)
        return mass, moments[:, :, : x.shape[1]], np.array(total)

    return work


def _expecting_there(**given: Any) -> Work:
    from pipeline.encoding.passes_torch import expecting  # PyTorch takes seconds to import

    return expecting(**given)


class Expectation:
    """The responsibilities of a mixture's components for some vectors, and sums weighted by them."""

    def __init__(self, mixture: Mixture) -> None:
        """Prepare for any number of vectors."""
        self._linear, self._constant = mixture.quadratic()
        self._thread = threading.local()

    def zeros(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums to begin with: mass float32 (K,) and moments float32 (K, 2, D or a little more)."""
        components, double = self._linear.shape
        return np.zeros(components, np.float32), aligned(2 * components, double // 2).reshape(components, 2, -1)

    def add(self, x: np.ndarray, mass: np.ndarray, moments: np.ndarray) -> float:
        """Add Σ γ to the masses, and Σ γ (x, x²) to the moments.

        Args:
            x: float32 (N, D), contiguous.
            mass: see `zeros`.
            moments: see `zeros`.

        Returns:
            Σ log p(x).
        """
        components, double = self._linear.shape
        features, room, members, shares = self._workspace()
        log_likelihood = 0.0
        for start in range(0, len(x), ROWS):
            rows = x[start : start + ROWS]
            whole = -(-len(rows) // LANES) * LANES
            logits = room[: components * whole].reshape(components, whole)
            features[: len(rows), : double // 2] = rows
            np.multiply(rows, rows, out=features[: len(rows), double // 2 : double])
            np.matmul(self._linear, features[:whole, :double].T, out=logits)
            log_likelihood += _accumulate(logits, self._constant, features, len(rows), members, shares, mass, moments)
        return log_likelihood

    def _workspace(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """This thread's features, logits and lists; fresh memory for each image would take a tenth of the time."""
        if not hasattr(self._thread, "workspace"):
            components, double = self._linear.shape
            logits = aligned(components, ROWS).reshape(-1)
            lists = np.empty(logits.size, np.int32), np.empty(logits.size, np.float32)
            self._thread.workspace = aligned(ROWS, double), logits, *lists
        return self._thread.workspace


@compiled(fastmath={"reassoc", "contract", "nnan", "nsz", "arcp"})
def _accumulate(
    logits: np.ndarray,
    constant: np.ndarray,
    features: np.ndarray,
    count: int,
    rows: np.ndarray,
    share: np.ndarray,
    mass: np.ndarray,
    moments: np.ndarray,
) -> float:
    """Add vectors to the sums of the components that they belong to.

    Args:
        logits: float32 (K, R), R whole LANES; log of weight × density without its constant, which is added to it here.
        constant: float32 (K,), see Mixture.quadratic.
        features: float32 (R, D or more), the vectors.
        count: how many of the R vectors there are.
        rows, share: int32 and float32 (K·R,), room for lists.
        mass: float32 (K,), added to.
        moments: float32 (K, 2, D or more), added to; beyond D it holds nothing of use.

    Returns:
        Σ log p(x).
    """
    components, padded = logits.shape
    ends = np.empty(components, np.int64)
    top = _survivors(logits, constant, count, rows, share, ends)
    _exponentials(share, ends[-1])
    total = np.zeros(padded, np.float32)
    for i in range(ends[-1]):
        total[rows[i]] += share[i]
    log_likelihood = 0.0
    for n in range(count):
        if total[n] > 0:  # not so where the vector is infinite, or not a number
            log_likelihood += top[n] + np.log(total[n])
            total[n] = 1 / total[n]
    first = 0
    for component in range(components):
        past = ends[component]
        for i in range(first, past):
            share[i] *= total[rows[i]]
            mass[component] += share[i]
        for column in range(0, moments.shape[2], LANES):
            add_weighted(features, rows, share, first, past, column, moments[component, 0], moments[component, 1])
        first = past
    return log_likelihood


@compiled(forceinline=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
def _survivors(
    logits: np.ndarray, constant: np.ndarray, count: int, rows: np.ndarray, share: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """List the vectors of each component: `rows`, and `share`, their logits below the vector's largest.

    A component's entries end before `ends` of it. Gives the largest logit of each vector, float32 (R,).
    """
    components, padded = logits.shape
    top = np.full(padded, NEVER, np.float32)
    for component in range(components):
        row = logits[component]
        for n in range(padded):
            row[n] += constant[component]
            top[n] = row[n] if row[n] > top[n] else top[n]
    limit = np.full(padded, -NEVER, np.float32)  # nothing reaches it
    limit[:count] = top[:count] + np.float32(np.log(SMALLEST_SHARE))
    found = 0
    for component in range(components):
        row = logits[component]
        for start in range(0, padded, LANES):
            mask = at_least(row, limit, start)
            while mask:
                vector = start + np.int64(lowest_bit(mask))
                rows[found] = vector
                share[found] = row[vector] - top[vector]
                found += 1
                mask &= mask - np.uint32(1)
        ends[component] = found
    return top


@compiled(forceinline=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
def _exponentials(values: np.ndarray, count: int) -> np.float32:
    """Replace the first numbers, between −14 and 0, by their exponentials; gives the sum.

    exp(v) = exp(v/64)^64 with Taylor's polynomial: relative error below 5e-6, and it vectorises.
    """
    one = np.float32(1)
    total = np.float32(0)
    for i in range(count):
        r = values[i] * np.float32(1 / 64)
        tail = np.float32(1 / 6) + r * (np.float32(1 / 24) + r * (np.float32(1 / 120) + r * np.float32(1 / 720)))
        e = one + r * (one + r * (np.float32(1 / 2) + r * tail))
        for _ in range(6):
            e = e * e
        values[i] = e
        total += e
    return total


def _maximise(found: Statistics, count: int, floor: float, previous: Mixture) -> Mixture:
    """New weights, means and variances; a component that lost all its vectors stays where it was."""
    dimensions = found.moments.shape[1] // 2
    alive = (found.mass > 1e-3)[:, None]
    mass = np.maximum(found.mass, 1e-3)[:, None]
    means = np.where(alive, found.moments[:, :dimensions] / mass, previous.means)
    variances = np.where(alive, found.moments[:, dimensions:] / mass - means**2, previous.variances)
    weights = np.maximum(found.mass, 1e-3) / count
    return Mixture(
        (weights / weights.sum()).astype(np.float32),
        means.astype(np.float32),
        np.maximum(variances, floor).astype(np.float32),
        np.empty(0),
    )


def _floor(x: np.ndarray) -> float:
    return max(VARIANCE_FLOOR * float(np.var(x, axis=0, dtype=np.float64).max()), 1e-12)


@compiled()
def _add_moments(x: np.ndarray, index: np.ndarray, moments: np.ndarray) -> None:
    dimensions = x.shape[1]
    for n in range(len(x)):
        sums = moments[index[n]]
        for d in range(dimensions):
            value = np.float64(x[n, d])
            sums[d] += value
            sums[dimensions + d] += value * value
