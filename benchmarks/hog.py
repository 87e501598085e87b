"""HOG of 10,000 CIFAR-10 images, 4×4 cells, 2×2 blocks, against scikit-image on two processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.feature import hog as reference

from benchmarks.measure import PROCESSES, Row, cifar_images, median_seconds, parts, peer_pool
from pipeline.features.hog import hog

_images: np.ndarray


def _peer(part: tuple[int, int]) -> np.ndarray:
    return np.stack([reference(_images[i], 9, (4, 4), (2, 2), channel_axis=-1) for i in range(*part)]).astype("f4")


def run(data_root: Path) -> list[Row]:
    global _images
    _images = cifar_images(data_root, 10_000)
    count = len(_images)
    with peer_pool() as pool:
        peer = median_seconds(lambda: np.concatenate(pool.map(_peer, parts(count, 500))), repeats=3)
    ours = median_seconds(lambda: hog(_images, 9, 4, 2, workers=PROCESSES))
    return [Row("hog", count / ours, count / peer, "skimage.feature.hog, 2 processes", "images/s", 20)]
