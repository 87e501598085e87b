"""Mixtures of Gaussians with diagonal covariances, by expectation and maximisation.

Responsibilities are sparse: in 64 dimensions a descriptor belongs to a handful of Gaussians, and to all others with
less than a millionth (Sánchez, Perronnin, Mensink & Verbeek, IJCV 2013, section 5.2, drop them likewise). So the log
densities are one matrix product, and everything behind it, the exponentials and the sums, touches only those few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from pipeline.encoding.kmeans import k_means, nearest
from pipeline.encoding.lanes import LANES, aligned, at_least, lowest_bit
from pipeline.parallel import one_blas_thread, slices, threads

CHUNK = 1024
ROWS = 512  # vectors whose log densities are at hand at once: they stay in the cache
SMALLEST_SHARE = 1e-6  # of the largest responsibility: smaller ones are ignored
VARIANCE_FLOOR = 1e-4  # of the largest variance of the data
NEVER = -1e30  # log density of the padding


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
        """Log of weight × density as a linear function of (x, x²): float32 (2·D, P) and (P,).

        P is K rounded up to whole LANES; the components that fill it up have no density anywhere.
        """
        precisions = 1 / self.variances.astype(np.float64)
        means = self.means.astype(np.float64)
        linear = np.concatenate([means * precisions, -0.5 * precisions], axis=1)
        constant = np.log(self.weights.astype(np.float64)) - 0.5 * (
            means.shape[1] * np.log(2 * np.pi)
            + np.log(self.variances.astype(np.float64)).sum(axis=1)
            + (means**2 * precisions).sum(axis=1)
        )
        padding = -len(constant) % LANES
        linear = np.pad(linear, ((0, padding), (0, 0)))
        constant = np.pad(constant, (0, padding), constant_values=NEVER)
        return np.ascontiguousarray(linear.T, np.float32), constant.astype(np.float32)


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
    workers: int = 1,
    start: Mixture | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Mixture:
    """EM from k-means clusters, or from a given mixture.

    Args:
        x: float32 (N, D), N ≥ components.
        components: K.
        seed: of k-means.
        iterations: of EM.
        workers: threads; the result does not depend on it.
        start: a mixture to start from.
        advance: called with the number of iterations done.
    """
    mixture = start or from_clusters(x, k_means(x, components, seed, workers=workers), workers)
    floor = _floor(x)
    likelihoods = []
    for _ in range(iterations):
        found = statistics(x, mixture, workers)
        likelihoods.append(found.log_likelihood / len(x))
        mixture = _maximise(found, len(x), floor, mixture)
        advance(1)
    return Mixture(mixture.weights, mixture.means, mixture.variances, np.array(likelihoods))


def from_clusters(x: np.ndarray, centres: np.ndarray, workers: int = 1) -> Mixture:
    """A Gaussian for each cluster: its share, mean and variance."""
    index, _ = nearest(x, centres, workers)
    counts = np.bincount(index, minlength=len(centres)).astype(np.float64)
    moments = np.zeros((len(centres), 2 * x.shape[1]))
    _add_moments(np.ascontiguousarray(x, np.float32), index, moments)
    previous = Mixture(np.full(len(centres), 1 / len(centres)), centres, np.ones_like(centres), np.empty(0))
    return _maximise(Statistics(counts, moments, 0.0), len(x), _floor(x), previous)


def statistics(x: np.ndarray, mixture: Mixture, workers: int = 1) -> Statistics:
    """What one pass of EM sums up; chunks of fixed size are added in order."""
    expectation = Expectation(mixture)
    components, double = len(mixture.weights), 2 * x.shape[1]
    mass, moments, total = np.zeros(components), np.zeros((components, double)), 0.0

    def work(part: slice) -> tuple[np.ndarray, np.ndarray, float]:
        sums = expectation.zeros()
        return *sums, expectation.add(np.ascontiguousarray(x[part], np.float32), *sums)

    with one_blas_thread():
        for part_mass, part_moments, part_total in threads(work, slices(len(x), CHUNK), workers):
            mass += part_mass
            moments += part_moments[:, :double]
            total += part_total
    return Statistics(mass, moments, total)


class Expectation:
    """The responsibilities of a mixture's components for some vectors, and sums weighted by them."""

    def __init__(self, mixture: Mixture) -> None:
        """Prepare for any number of vectors."""
        self._linear, self._constant = mixture.quadratic()
        self._components = len(mixture.weights)

    def zeros(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums to begin with: mass float32 (K,) and moments float32 (K, 2·D or a little more)."""
        return np.zeros(self._components, np.float32), aligned(self._components, len(self._linear))

    def add(self, x: np.ndarray, mass: np.ndarray, moments: np.ndarray) -> float:
        """Add Σ γ to the masses, and Σ γ (x, x²) to the moments.

        Args:
            x: float32 (N, D), contiguous.
            mass: see `zeros`.
            moments: see `zeros`.

        Returns:
            Σ log p(x).
        """
        double, padded = self._linear.shape
        features, logits = aligned(min(ROWS, len(x)), double), aligned(min(ROWS, len(x)), padded)
        log_likelihood = 0.0
        for start in range(0, len(x), ROWS):
            rows = x[start : start + ROWS]
            some, found = features[: len(rows)], logits[: len(rows)]
            some[:, : double // 2] = rows
            np.multiply(rows, rows, out=some[:, double // 2 : double])
            np.matmul(some[:, :double], self._linear, out=found)
            log_likelihood += _accumulate(found, self._constant, some, mass, moments)
        return log_likelihood


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nnan", "nsz", "arcp"})
def _accumulate(
    logits: np.ndarray, constant: np.ndarray, features: np.ndarray, mass: np.ndarray, moments: np.ndarray
) -> float:
    """Add each vector to the sums of the components that it belongs to.

    What looks at all components, the search for the largest and for those near it, takes LANES of them at a time.

    Args:
        logits: float32 (n, P), log of weight × density without its constant, which is added to it here.
        constant: float32 (P,), see Mixture.quadratic.
        features: float32 (n, 2·D or more), each vector and its squares.
        mass: float32 (K,), added to.
        moments: float32, (K, 2·D or more), added to.

    Returns:
        Σ log p(x).
    """
    count, padded = logits.shape
    double = features.shape[1]
    margin = np.float32(-np.log(SMALLEST_SHARE))
    lanes = np.empty(LANES, np.float32)
    kept = np.empty(padded + 1, np.int32)
    share = np.empty(padded + 1, np.float32)
    log_likelihood = 0.0
    for n in range(count):
        row = logits[n]
        lanes[:] = NEVER
        for start in range(0, padded, LANES):
            for j in range(LANES):
                value = row[start + j] + constant[start + j]
                row[start + j] = value
                lanes[j] = value if value > lanes[j] else lanes[j]
        top = lanes[0]
        for j in range(1, LANES):
            top = max(top, lanes[j])
        limit = top - margin
        found = 0
        for start in range(0, padded, LANES):
            mask = at_least(row, start, limit)
            while mask:
                component = start + np.int64(lowest_bit(mask))
                kept[found] = component
                share[found] = row[component] - top
                if component < len(mass):  # the padding has no density, unless nothing has
                    found += 1
                mask &= mask - np.uint32(1)
        if found == 0:  # the vector is infinite, or not a number
            continue
        total = _exponentials(share, found)
        log_likelihood += top + np.log(total)
        inverse = np.float32(1) / total
        for i in range(found):
            gamma = share[i] * inverse
            component = kept[i]
            mass[component] += gamma
            for d in range(double):
                moments[component, d] += gamma * features[n, d]
    return log_likelihood


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
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


@numba.njit(nogil=True, cache=True)
def _add_moments(x: np.ndarray, index: np.ndarray, moments: np.ndarray) -> None:
    dimensions = x.shape[1]
    for n in range(len(x)):
        sums = moments[index[n]]
        for d in range(dimensions):
            value = np.float64(x[n, d])
            sums[d] += value
            sums[dimensions + d] += value * value
