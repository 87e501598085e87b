"""k-means for large vocabularies: Lloyd's algorithm on samples that grow, where a vector soon looks only nearby.

Early iterations only have to bring the centres near; a small random sample shows the way as well as all vectors do
(Newling & Fleuret, "Nested mini-batch k-means", NIPS 2016, have the argument). And once each vector has been compared
with all centres, the next nearest is almost surely among the neighbours of the one that it has (Wang et al., "Fast
approximate k-means via cluster closures", CVPR 2012; Agustsson, Timofte & Van Gool, "k²-means", ECML PKDD 2017). So
each sample is compared with all centres once, as one matrix product, and then a few times with a few of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.compiled import compiled
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.passes import HERE, Arrays, Pass, Passes, Work, joined
from pipeline.randomness import generator

CHUNK = 512  # vectors: their distances to a few thousand centres stay in the cache
GROUP = 32  # chunks that are handed out together
CLUSTERS = 64  # whose vectors a thread assigns at once
FIRST_SAMPLE = 16  # vectors a centre in the first sample
GROWTH = 8  # from one sample to the next
NEIGHBOURS = 64  # centres that a vector is compared with, those nearest to its own


def k_means(x: np.ndarray, clusters: int, seed: int, iterations: int = 8, passes: Passes = HERE) -> np.ndarray:
    """Centres that minimise the summed squared distance to the nearest one.

    Args:
        x: float32 (N, D), N ≥ clusters.
        clusters: K.
        seed: of the start (K different vectors of x) and of the order in which samples grow.
        iterations: of Lloyd's algorithm among neighbours, for each sample.
        passes: who compares vectors with all centres.

    Returns:
        float32 (K, D).
    """
    shuffled = np.ascontiguousarray(x[generator(seed, "k-means").permutation(len(x))], np.float32)
    centres = shuffled[:clusters].copy()
    for size in sample_sizes(len(x), clusters):
        sample = shuffled[:size]
        index, _ = nearest(sample, centres, passes)
        for _ in range(iterations):
            centres = _average(sample, index, clusters)
            index = _nearest_of_neighbours(sample, centres, index, passes.workers)
        centres = _average(sample, index, clusters)
    return centres


def sample_sizes(count: int, clusters: int) -> list[int]:
    """How the samples grow, up to all vectors."""
    sizes = [FIRST_SAMPLE * clusters]
    while sizes[-1] < count:
        sizes.append(GROWTH * sizes[-1])
    return [min(size, count) for size in sizes]


def nearest(x: np.ndarray, centres: np.ndarray, passes: Passes = HERE) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each vector, int64 (N,), and the squared distance to it, float32 (N,)."""
    if not len(x):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    arrays = {"x": x, "centres": centres}
    products = float(x.size) * len(centres)
    index, distance = passes.run(Pass(_comparing, arrays, len(x), CHUNK, GROUP, joined, products, _comparing_there))
    return index, distance


def _comparing(x: np.ndarray, centres: np.ndarray) -> Work:
    half_squares = 0.5 * np.einsum("kd,kd->k", centres, centres)
    transposed = np.ascontiguousarray(centres.T)

    def work(part: slice) -> Arrays:
        rows = np.ascontiguousarray(x[part], np.float32)
        # |x − c|² = |x|² − 2 (x·c − ½|c|²)
        closeness = rows @ transposed
        closeness -= half_squares
        best = closeness.argmax(axis=1)
        squares = np.einsum("nd,nd->n", rows, rows)
        return best, np.maximum(squares - 2 * closeness[np.arange(len(rows)), best], 0)

    return work


def _comparing_there(**given: Any) -> Work:
    from pipeline.encoding.passes_torch import comparing  # PyTorch takes seconds to import

    return comparing(**given)


def inertia(x: np.ndarray, centres: np.ndarray, passes: Passes = HERE) -> float:
    """Summed squared distance to the nearest centre."""
    return float(nearest(x, centres, passes)[1].sum(dtype=np.float64))


def _nearest_of_neighbours(x: np.ndarray, centres: np.ndarray, index: np.ndarray, workers: int) -> np.ndarray:
    """The nearest to each vector among the NEIGHBOURS centres around the one that it has: int64 (N,)."""
    half_squares = 0.5 * np.einsum("kd,kd->k", centres, centres)
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(len(centres) + 1))
    around = min(NEIGHBOURS, len(centres))
    found = np.empty_like(index)

    def work(part: slice) -> None:
        closeness = centres[part] @ centres.T
        closeness -= half_squares
        neighbours = np.argpartition(-closeness, around - 1, axis=1)[:, :around]
        for cluster, those in zip(range(part.start, part.stop), neighbours, strict=True):
            members = order[bounds[cluster] : bounds[cluster + 1]]
            if len(members):
                closeness = x[members] @ centres[those].T
                closeness -= half_squares[those]
                found[members] = those[closeness.argmax(axis=1)]

    with one_blas_thread():
        list(threads(work, slices(len(centres), CLUSTERS), workers))
    return found


def _average(x: np.ndarray, index: np.ndarray, clusters: int) -> np.ndarray:
    """The mean of each cluster; a centre without vectors takes over half of the largest cluster's place."""
    sums = np.zeros((clusters, x.shape[1]))
    counts = np.bincount(index, minlength=clusters).astype(np.float64)
    _add_rows(x, index, sums)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    for empty in np.flatnonzero(counts == 0):
        largest = int(counts.argmax())
        spread = np.float32(1e-3) * np.abs(means[largest])
        means[empty], means[largest] = means[largest] + spread, means[largest] - spread
        counts[empty] = counts[largest] = counts[largest] / 2
    return means


@compiled()
def _add_rows(x: np.ndarray, index: np.ndarray, sums: np.ndarray) -> None:
    for n in range(len(x)):
        total = sums[index[n]]
        for d in range(x.shape[1]):
            total[d] += x[n, d]
