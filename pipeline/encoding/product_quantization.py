"""Product quantisation (Jégou, Douze & Schmid, PAMI 2011): a byte for every few numbers of a vector.

A vector is cut into groups of G dimensions; each group is replaced by the nearest of 256 centroids, learned by k-means
on train for that group alone. With G = 8, that is b = 1 bit a dimension, codes are 32 times smaller than float32, as in
the compressed Fisher vectors of Sánchez & Perronnin (CVPR 2011). Codes are a plain uint8 array (N, D / G), one row a
vector: an .npy file that memory-maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.compiled import compiled
from pipeline.encoding.lanes import LANES
from pipeline.errors import PipelineError
from pipeline.passes import HERE, Arrays, Pass, Passes, Work, joined
from pipeline.randomness import generator

CENTROIDS = 256  # what a byte can name
ITERATIONS = 8  # of k-means, on each sample
SAMPLES = (8, 4, 2, 1)  # the first is an eighth of the vectors, the last all
GROUPS_AT_ONCE = 64
ROWS_AT_ONCE = 64  # vectors that a group's centroids are compared with while they are in the cache


@dataclass(frozen=True)
class ProductQuantizer:
    """Attributes: centroids float32 (D / G, 256, G)."""

    centroids: np.ndarray

    @property
    def dimension(self) -> int:
        """D."""
        return self.centroids.shape[0] * self.centroids.shape[2]

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Codes of float32 (N, D): uint8 (N, D / G)."""
        codes = np.empty((len(x), len(self.centroids)), np.uint8)
        transposed, half_squares = _prepared(self.centroids)
        _assign(np.ascontiguousarray(x, np.float32), transposed, half_squares, codes)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """What the codes stand for: uint8 (N, D / G) → float32 (N, D)."""
        out = np.empty((len(codes), self.dimension), np.float32)
        decode_part(codes, self.centroids, 0, 0, np.zeros(self.dimension, np.float32), out)
        return out


def check_group(dimension: int, group: int, bits: int, key: str) -> None:
    """Refuse what can't be cut or coded.

    Raises:
        PipelineError: G does not divide D, or G·b is not the 8 bits of a byte; names the nearest that works.
    """
    if group * bits != 8:
        fitting = min((b for b in (1, 2, 4, 8)), key=lambda b: abs(group - 8 // b))
        raise PipelineError(
            f"`{key}` has group {group} and bits {bits}: a code is one byte, so group × bits must be 8; the nearest "
            f"that works is group {8 // fitting} and bits {fitting}"
        )
    if dimension % group:
        raise PipelineError(f"`{key}` has group {group}, which does not divide the {dimension} numbers of a vector")


def fit_product_quantizer(x: np.ndarray, group: int, seed: int, passes: Passes = HERE) -> ProductQuantizer:
    """k-means in every group, on samples that grow.

    Args:
        x: float16 or float32 (N, D), N ≥ 256; vectors of train.
        group: G, which divides D.
        seed: of the start: 256 different vectors.
        passes: who does it, some groups at once.
    """
    count, dimension = x.shape
    if count < CENTROIDS:
        raise PipelineError(
            f"product quantisation needs at least {CENTROIDS} training vectors, and there are {count}; use more images"
        )
    arrays = {"x": x, "order": generator(seed, "product quantisation").permutation(count)}
    products = float(count) * dimension * CENTROIDS * ITERATIONS * sum(1 / share for share in SAMPLES)
    one = Pass(
        partial(_learning, group=group),
        arrays,
        dimension // group,
        GROUPS_AT_ONCE,
        1,
        joined,
        products,
        partial(_learning_there, group=group),
    )
    (centroids,) = passes.run(one)
    return ProductQuantizer(centroids)


def _learning(x: np.ndarray, order: np.ndarray, group: int) -> Work:
    """k-means in some groups: their centroids, float32 (g, 256, G)."""

    def work(part: slice) -> Arrays:
        columns = np.asarray(x[:, part.start * group : part.stop * group], np.float32)[order]
        first = columns[:CENTROIDS].reshape(CENTROIDS, -1, group).transpose(1, 0, 2)
        found = np.array(first, order="C")  # of one group, it would be a view of the vectors
        for size in samples(len(order)):
            sample = columns[:size]
            codes = np.empty((len(sample), len(found)), np.uint8)
            for _ in range(ITERATIONS):
                _assign(sample, *_prepared(found), codes)
                _average(sample, codes, found)
        return (found,)

    return work


def _learning_there(**given: Any) -> Work:
    from pipeline.encoding.passes_torch import learning  # PyTorch takes seconds to import

    return learning(**given)


def samples(count: int) -> list[int]:
    """How the sample of vectors grows."""
    return [max(CENTROIDS, count // share) for share in SAMPLES]


def _prepared(centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroids as (groups, G, 256), and half their squared lengths (groups, 256)."""
    half_squares = 0.5 * np.einsum("gkd,gkd->gk", centroids, centroids)
    return np.ascontiguousarray(centroids.transpose(0, 2, 1)), half_squares


@compiled(fastmath={"reassoc", "contract", "nnan", "nsz"})
def _assign(x: np.ndarray, transposed: np.ndarray, half_squares: np.ndarray, codes: np.ndarray) -> None:
    """The nearest centroid of every group of every vector: ½|c|² − x·c is smallest."""
    groups = len(transposed)
    distance = np.empty(CENTROIDS, np.float32)
    for first in range(0, len(x), ROWS_AT_ONCE):
        for g in range(groups):
            for n in range(first, min(first + ROWS_AT_ONCE, len(x))):
                _distances(x[n], g, transposed[g], half_squares[g], distance)
                codes[n, g] = _smallest(distance)


@compiled(forceinline=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
def _distances(x: np.ndarray, g: int, c: np.ndarray, h: np.ndarray, distance: np.ndarray) -> None:
    """Of one group of one vector to its centroids c (G, 256)."""
    width = len(c)
    v = x[g * width : (g + 1) * width]
    if width == 8:  # the usual case, in one go over the centroids
        for k in range(CENTROIDS):
            distance[k] = (
                h[k] - v[0] * c[0, k] - v[1] * c[1, k] - v[2] * c[2, k] - v[3] * c[3, k]
                - v[4] * c[4, k] - v[5] * c[5, k] - v[6] * c[6, k] - v[7] * c[7, k]
            )  # fmt: skip
    else:
        distance[:] = h
        for d in range(width):
            for k in range(CENTROIDS):
                distance[k] -= v[d] * c[d, k]


@compiled(forceinline=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
def _smallest(distance: np.ndarray) -> int:
    """The first place of the smallest number; each of the LANES keeps its own smallest on the way."""
    least = np.empty(LANES, np.float32)
    block_of = np.zeros(LANES, np.int32)
    least[:] = distance[:LANES]
    for block in range(1, CENTROIDS // LANES):
        for j in range(LANES):
            value = distance[block * LANES + j]
            block_of[j] = block if value < least[j] else block_of[j]
            least[j] = value if value < least[j] else least[j]
    best = least.min()
    place = CENTROIDS
    for j in range(LANES):
        if least[j] == best:
            place = min(place, block_of[j] * LANES + j)
    return place


@compiled()
def _average(x: np.ndarray, codes: np.ndarray, centroids: np.ndarray) -> None:
    """Move every centroid to the mean of its vectors; one without any stays."""
    groups, clusters, width = centroids.shape
    sums = np.empty((clusters, width))
    counts = np.empty(clusters)
    for g in range(groups):
        sums[:] = 0
        counts[:] = 0
        for n in range(len(x)):
            k = codes[n, g]
            counts[k] += 1
            for d in range(width):
                sums[k, d] += x[n, g * width + d]
        for k in range(clusters):
            if counts[k] > 0:
                for d in range(width):
                    centroids[g, k, d] = sums[k, d] / counts[k]


@compiled()
def decode_part(
    codes: np.ndarray, centroids: np.ndarray, first_row: int, first_column: int, mean: np.ndarray, out: np.ndarray
) -> None:
    """Part of the decoded array, minus a mean.

    Args:
        codes: uint8 (N, D / G).
        centroids: float32 (D / G, 256, G).
        first_row, first_column: where the part begins; the column is a multiple of G.
        mean: float32 (D,).
        out: float32 (n, d); d is a multiple of G.
    """
    width = centroids.shape[2]
    first = first_column // width
    for g in range(out.shape[1] // width):  # a group's centroids stay in the cache while all rows look them up
        table = centroids[first + g]
        at = g * width
        centre = mean[first_column + at : first_column + at + width]
        for row in range(len(out)):
            value = table[codes[first_row + row, first + g]]
            if width == 8:  # the usual case, unrolled
                for d in range(8):
                    out[row, at + d] = value[d] - centre[d]
            else:
                for d in range(width):
                    out[row, at + d] = value[d] - centre[d]
