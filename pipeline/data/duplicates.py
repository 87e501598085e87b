"""Images that stand in more than one split: exact copies by their bytes, near ones by a perceptual hash.

Both criteria are strict: recompressed, rescaled and relit copies are found, crops are not; counts are lower bounds.

A test image that was also trained on makes every error look smaller than it is. CIFAR-10 itself has 3.3 % of them
(Barz & Denzler, "Do we train on test data?", J. Imaging 2020).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.fft import dct

from pipeline.parallel import slices

HASH_SIDE = 32  # pixels a side of the thumbnail that is transformed
LOW = 8  # lowest frequencies kept, each way: 8×8 = 64 bits
MAX_DISTANCE = 6  # bits in which the hashes of near duplicates may differ
MIN_CORRELATION = 0.99  # of the thumbnails: hashes alone take many plain images for twins
BANDS = MAX_DISTANCE + 1  # hashes that differ in 6 bits agree on at least one of 7 bands


@dataclass(frozen=True)
class Pair:
    """An image of a later split and its twin in an earlier one; positions within the splits."""

    later: str
    later_index: int
    earlier: str
    earlier_index: int
    kind: str  # exact | near


@dataclass(frozen=True)
class Found:
    """What `across` found.

    Attributes:
        pairs: every image that has a twin in an earlier split, with its first twin.
        exact, near: split → all rows of it that are an exact (a near) twin of an image of a later split.
    """

    pairs: list[Pair]
    exact: dict[str, set[int]]
    near: dict[str, set[int]]


@dataclass(frozen=True)
class Signatures:
    """What identifies the images of one split.

    Attributes:
        content: 16 bytes an image (N,): BLAKE2b of the pixels.
        perceptual: uint64 (N,).
        thumbnails: uint8 (N, 256): 16×16 grey.
    """

    content: np.ndarray
    perceptual: np.ndarray
    thumbnails: np.ndarray


NOTHING = Signatures(
    np.empty(0, "V16"), np.empty(0, np.uint64), np.empty((0, (HASH_SIDE // 2) ** 2), np.uint8)
)  # of none


def sign(images: np.ndarray) -> Signatures:
    """Signatures of a batch, uint8 (N, H, W, 3)."""
    content = np.array([hashlib.blake2b(image.data, digest_size=16).digest() for image in images], "V16")
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
    small = np.stack([cv2.resize(image, (HASH_SIDE, HASH_SIDE), interpolation=cv2.INTER_AREA) for image in grey])
    return Signatures(content, perceptual_hash(small), _thumbnails(small))


def join(signatures: list[Signatures]) -> Signatures:
    """Put the signatures of batches behind each other."""
    return Signatures(
        np.concatenate([part.content for part in signatures]),
        np.concatenate([part.perceptual for part in signatures]),
        np.concatenate([part.thumbnails for part in signatures]),
    )


def perceptual_hash(grey: np.ndarray) -> np.ndarray:
    """64 bits an image: which of the lowest DCT coefficients lie above their median (Zauner 2010, pHash).

    Args:
        grey: uint8 (N, 32, 32).

    Returns:
        uint64 (N,).
    """
    basis = dct(np.eye(HASH_SIDE), axis=0, norm="ortho")[1 : LOW + 1].astype(np.float32)  # no constant term
    low = basis @ grey.astype(np.float32) @ basis.T
    flat = low.reshape(len(grey), -1)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def _thumbnails(small: np.ndarray) -> np.ndarray:
    half = small.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(len(small), -1)
    return np.round(half).astype(np.uint8)


def across(splits: dict[str, Signatures]) -> Found:
    """Compare every split with the earlier ones (order: train, val, test).

    Both kinds of twins come from hash tables, so the work grows with the number of
    images and not with its square.
    """
    order = [name for name in ("train", "val", "test") if name in splits]
    found = Found([], {name: set() for name in order}, {name: set() for name in order})
    for position, later in enumerate(order):
        for earlier in order[:position]:
            _compare(later, splits[later], earlier, splits[earlier], found)
    return found


def _compare(later: str, a: Signatures, earlier: str, b: Signatures, found: Found) -> None:
    rows: dict[bytes, list[int]] = {}
    for row, content in enumerate(b.content):
        rows.setdefault(content.tobytes(), []).append(row)
    exact: dict[int, int] = {}
    for row, content in enumerate(a.content):
        if twins := rows.get(content.tobytes()):
            exact[row] = twins[0]
            found.exact[earlier].update(twins)
    first, near = _near(a, b)
    found.near[earlier].update(set(np.flatnonzero(near).tolist()) - found.exact[earlier])
    for row in np.flatnonzero(first >= 0).tolist():
        if row not in exact:
            found.pairs.append(Pair(later, row, earlier, int(first[row]), "near"))
    found.pairs.extend(Pair(later, row, earlier, twin, "exact") for row, twin in exact.items())


def _near(a: Signatures, b: Signatures) -> tuple[np.ndarray, np.ndarray]:
    """Near twins by multi-index hashing (Norouzi, Punjani & Fleet, CVPR 2012).

    Returns:
        int64 (len a,): the first near twin in b, -1 for none; bool (len b,): whether any row of a is a near twin.
    """
    none = len(b.perceptual)
    first = np.full(len(a.perceptual), none, np.int64)
    near = np.zeros(none, bool)
    for band_a, band_b in zip(_bands(a.perceptual), _bands(b.perceptual), strict=True):
        order = np.argsort(band_b, kind="stable")
        ordered = band_b[order]
        starts = np.searchsorted(ordered, band_a, "left")
        ends = np.searchsorted(ordered, band_a, "right")
        for chunk in _chunks(ends - starts):
            left, right = _expand(starts[chunk], ends[chunk], order)
            left = chunk.start + left
            close = np.bitwise_count(a.perceptual[left] ^ b.perceptual[right]) <= MAX_DISTANCE
            left, right = left[close], right[close]
            for part in slices(len(left), 50_000):
                alike = _correlation(a.thumbnails[left[part]], b.thumbnails[right[part]]) >= MIN_CORRELATION
                near[right[part][alike]] = True
                np.minimum.at(first, left[part][alike], right[part][alike])
    return np.where(first == none, -1, first), near


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation, row by row; 0 where a row is constant."""
    a, b = (x - x.mean(axis=1, keepdims=True, dtype=np.float32) for x in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(norms, 1e-6))


def _bands(hashes: np.ndarray) -> list[np.ndarray]:
    edges = np.linspace(0, 64, BANDS + 1).astype(int)
    return [(hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1) for low, high in pairwise(edges)]


def _chunks(counts: np.ndarray, most: int = 2_000_000) -> list[slice]:
    """Cut the queries so that a chunk has at most about `most` candidates: memory stays flat."""
    total = np.cumsum(counts)
    if total[-1] == 0:
        return []
    cuts = np.searchsorted(total, np.arange(most, total[-1] + most, most)) + 1
    edges = sorted({0, *cuts.clip(max=len(counts)).tolist(), len(counts)})
    return [slice(low, high) for low, high in pairwise(edges)]


def _expand(starts: np.ndarray, ends: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (query, candidate) pairs of the ranges [start, end) in `order`."""
    counts = ends - starts
    left = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return left, order[np.repeat(starts, counts) + within]
