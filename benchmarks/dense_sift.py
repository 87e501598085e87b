"""Dense SIFT against VLFeat's vl_dsift with a flat window, one process per core, and against OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data

from benchmarks import vlfeat
from benchmarks.measure import PROCESSES, Row, cifar_images, median_seconds, parts, peer_pool
from pipeline.descriptors.dense_sift import dense_sift, to_grey

# Images described in one call: as many as an encoder takes from the cache before it asks for the next.
LARGE_AT_ONCE, SMALL_AT_ONCE = 8, 256

_grey: np.ndarray
_step: int
_bins: tuple[int, ...]


def _peer(part: tuple[int, int]) -> int:
    filters = [vlfeat.Dsift(_grey.shape[2], _grey.shape[1], size, _step, flat=True) for size in _bins]
    return sum(len(one(image)) for image in _grey[slice(*part)] for one in filters)


def run(data_root: Path) -> list[Row]:
    photographs = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()]
    large = np.stack([image[:256, :256] for image in photographs] * 16)
    small = cifar_images(data_root, 4096)
    return [
        *_against_vlfeat("dense_sift, 256×256, step 4, bin 4", large, (4,), 4, LARGE_AT_ONCE),
        *_against_vlfeat("dense_sift, 32×32, step 2, bins 2, 3, 4", small, (2, 3, 4), 2, SMALL_AT_ONCE),
        _against_opencv(large[:2]),
    ]


def _against_vlfeat(name: str, images: np.ndarray, bins: tuple[int, ...], step: int, at_once: int) -> list[Row]:
    global _grey, _step, _bins
    _grey, _step, _bins = to_grey(images), step, bins

    def ours() -> None:
        for start, stop in parts(len(images), at_once):
            dense_sift(images[start:stop], bins, step, "flat", workers=PROCESSES)

    seconds = median_seconds(ours)
    peer = None
    if vlfeat.available():
        with peer_pool() as pool:
            ranges = parts(len(images), len(images) // PROCESSES)
            peer = median_seconds(lambda: pool.map(_peer, ranges), repeats=3)
    count = len(images)
    name_of_peer = f"vl_dsift, flat window, {PROCESSES} processes"
    return [Row(name, count / seconds, None if peer is None else count / peer, name_of_peer, "images/s", 1)]


def _against_opencv(images: np.ndarray) -> Row:
    from pipeline.descriptors import grid

    height, width = images.shape[1:3]
    centres = grid.places(height, width, (4,), 4) * [width, height] - 0.5
    points = [cv2.KeyPoint(float(x), float(y), 2 * 4 / 3, 0) for x, y in centres]
    sift = cv2.SIFT.create()
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    peer = median_seconds(lambda: [sift.compute(image, points) for image in grey], repeats=1)
    ours = median_seconds(lambda: dense_sift(images, (4,), 4, "gaussian", workers=PROCESSES))
    count = len(images)
    return Row("dense_sift, 256×256, Gaussian window", count / ours, count / peer, "cv2.SIFT.compute", "images/s", None)
