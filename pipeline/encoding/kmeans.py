"""k-means for large vocabularies: Lloyd's algorithm on samples that grow, all distances as matrix products.

Early iterations only have to bring the centres near; a small random sample shows the way as well as all vectors do
(Newling & Fleuret, "Nested mini-batch k-means", NIPS 2016, have the argument). So each iteration of the first stages
costs a fraction of a full one, and few full ones remain.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.randomness import generator

CHUNK = 512  # vectors: their distances to a few thousand centres stay in the cache
FIRST_SAMPLE = 16  # vectors a centre in the first stage


def k_means(
    x: np.ndarray,
    clusters: int,
    seed: int,
    iterations: int = 4,
    workers: int = 1,
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Centres that minimise the summed squared distance to the nearest one.

    Args:
        x: float32 (N, D), N ≥ clusters.
        clusters: K.
        seed: of the start (K different vectors of x) and of the order in which samples grow.
        iterations: of Lloyd's algorithm for each sample size; sizes double from 16 vectors a centre up to all.
        workers: threads; the result does not depend on it.
        advance: called with the number of iterations done.

    Returns:
        float32 (K, D).
    """
    shuffled = np.ascontiguousarray(x[generator(seed, "k-means").permutation(len(x))], np.float32)
    centres = shuffled[:clusters].copy()
    for size in sample_sizes(len(x), clusters):
        for _ in range(iterations):
            centres = _lloyd(shuffled[:size], centres, workers)
            advance(1)
    return centres


def sample_sizes(count: int, clusters: int) -> list[int]:
    """How the samples grow, up to all vectors."""
    sizes = [FIRST_SAMPLE * clusters]
    while sizes[-1] < count:
        sizes.append(2 * sizes[-1])
    return [min(size, count) for size in sizes]


def nearest(x: np.ndarray, centres: np.ndarray, workers: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each vector, int64 (N,), and the squared distance to it, float32 (N,)."""
    index = np.empty(len(x), np.int64)
    distance = np.empty(len(x), np.float32)
    half_squares = 0.5 * np.einsum("kd,kd->k", centres, centres)
    transposed = np.ascontiguousarray(centres.T)

    def work(part: slice) -> None:
        rows = np.ascontiguousarray(x[part], np.float32)
        # |x − c|² = |x|² − 2 (x·c − ½|c|²)
        closeness = rows @ transposed
        closeness -= half_squares
        best = closeness.argmax(axis=1)
        index[part] = best
        squares = np.einsum("nd,nd->n", rows, rows)
        distance[part] = np.maximum(squares - 2 * closeness[np.arange(len(rows)), best], 0)

    with one_blas_thread():
        list(threads(work, slices(len(x), CHUNK), workers))
    return index, distance


def inertia(x: np.ndarray, centres: np.ndarray, workers: int = 1) -> float:
    """Summed squared distance to the nearest centre."""
    return float(nearest(x, centres, workers)[1].sum(dtype=np.float64))


def _lloyd(x: np.ndarray, centres: np.ndarray, workers: int) -> np.ndarray:
    """One iteration: assign, average; a centre without vectors takes over half of the largest cluster's place."""
    index, _ = nearest(x, centres, workers)
    sums = np.zeros(centres.shape)
    counts = np.bincount(index, minlength=len(centres)).astype(np.float64)
    _add_rows(x, index, sums)
    moved = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    for empty in np.flatnonzero(counts == 0):
        largest = int(counts.argmax())
        spread = np.float32(1e-3) * np.abs(moved[largest])
        moved[empty], moved[largest] = moved[largest] + spread, moved[largest] - spread
        counts[empty] = counts[largest] = counts[largest] / 2
    return moved


@numba.njit(nogil=True, cache=True)
def _add_rows(x: np.ndarray, index: np.ndarray, sums: np.ndarray) -> None:
    for n in range(len(x)):
        total = sums[index[n]]
        for d in range(x.shape[1]):
            total[d] += x[n, d]
