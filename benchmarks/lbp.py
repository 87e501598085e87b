"""Local binary patterns of 10,000 CIFAR-10 images, of both methods, against scikit-image on two processes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from skimage.feature import local_binary_pattern as reference

from benchmarks.measure import PROCESSES, Row, cifar_images, median_seconds, parts, peer_pool
from pipeline.features.lbp import Method, grey_levels, lbp_codes

CASES: tuple[tuple[Method, int, float], ...] = (("uniform", 8, 1.0), ("nri_uniform", 8, 1.0), ("nri_uniform", 16, 2.0))

_grey: np.ndarray


def _peer(part: tuple[int, int], points: int, radius: float, method: Method) -> np.ndarray:
    return np.stack([reference(_grey[i], points, radius, method) for i in range(*part)]).astype(np.uint16)


def run(data_root: Path) -> list[Row]:
    global _grey
    _grey = grey_levels(cifar_images(data_root, 10_000))
    count = len(_grey)
    rows = []
    with peer_pool() as pool:
        for method, points, radius in CASES:
            peer_part = partial(_peer, points=points, radius=radius, method=method)
            peer = median_seconds(partial(pool.map, peer_part, parts(count, 500)), repeats=3)
            ours = median_seconds(partial(lbp_codes, _grey, points, radius, method, PROCESSES))
            name, peer_name = f"lbp {method}, P={points}, R={radius:g}", "skimage local_binary_pattern, 2 processes"
            rows.append(Row(name, count / ours, count / peer, peer_name, "images/s", 10))
    return rows
