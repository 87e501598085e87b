"""8×8×8 colour histograms of 10,000 CIFAR-10 images against a cv2.calcHist loop on two processes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import PROCESSES, Row, cifar_images, median_seconds, parts, peer_pool
from pipeline.features.color_histogram import color_histogram

_images: np.ndarray


def _peer(part: tuple[int, int]) -> np.ndarray:
    out = np.empty((part[1] - part[0], 512), np.float32)
    for row, index in enumerate(range(*part)):
        out[row] = cv2.calcHist([_images[index]], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
    return out


def run(data_root: Path) -> list[Row]:
    global _images
    _images = cifar_images(data_root, 10_000)
    count = len(_images)
    with peer_pool() as pool:
        peer = median_seconds(lambda: np.concatenate(pool.map(_peer, parts(count, 1000))), repeats=15)
    ours = median_seconds(lambda: color_histogram(_images, [8, 8, 8], workers=PROCESSES), repeats=15)
    return [Row("color_histogram", count / ours, count / peer, "cv2.calcHist loop, 2 processes", "images/s", 10)]
