"""The 2011 system at the size of its paper: 256×256, 10,685 patches, K=1,024, R=4, both channels, product codes.

On the GPU where there is one, else on this machine's cores. From these rates docs/scale.md reckons the hours for
ILSVRC's 1.28 million images.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch

from benchmarks.measure import PROCESSES, Row, median_seconds
from pipeline.classifiers.products import products
from pipeline.classifiers.vectors import Coded, Scaling
from pipeline.context import Context
from pipeline.device import device_name, pick_device
from pipeline.features import color_fv, sift_fv

SIDE = 256
PAPER: dict[str, Any] = {
    "bin_sizes": [4, 6, 8],
    "step": 4,
    "dimensions": 64,
    "whiten": False,
    "place": 0,
    "gaussians": 1024,
    "regions": ["1x1", "1x3"],
    "quantization": {"group": 8, "bits": 1, "sample": 256},
    # What the codebook is learned from does not change how long an image takes.
    "iterations": 2,
    "sample": 60_000,
}
DIMENSION, CLASSES = 2 * 1024 * 64 * 4, 1000


def run(data_root: Path) -> list[Row]:
    device = pick_device("auto")
    where = place(device)
    images = crops(256)
    seconds = sum(_seconds_an_image(images, channel, own, device) for channel, own in channels())
    rows, passed = (1 << 16, 3) if device.type == "cuda" else (512, 1)
    return [
        Row(f"ilsvrc, both channels to codes, {where}", 1 / seconds, None, "", "images/s", None),
        Row(
            f"ilsvrc, a pass of the SVM over codes, {CLASSES:,} classes, one channel, {where}",
            rows / _seconds_a_pass(rows, passed, device),
            None,
            "",
            "images/s",
            None,
        ),
    ]


def place(device: torch.device) -> str:
    """What rows say of where they were measured."""
    return device_name(device) if device.type == "cuda" else f"{PROCESSES} cores"


def channels() -> list[tuple[Any, dict[str, Any]]]:
    """Of the system: their modules, and how each differs from PAPER."""
    return [(sift_fv, {"window": "flat", "norm": "root"}), (color_fv, {})]


def crops(count: int) -> np.ndarray:
    """Of a photograph, uint8 (count, SIDE, SIDE, 3)."""
    photograph = np.tile(skimage.data.astronaut(), (2, 2, 1))
    offsets = np.random.default_rng(0).integers(0, 512, (count, 2))
    return np.stack([photograph[y : y + SIDE, x : x + SIDE] for y, x in offsets])


def _seconds_an_image(images: np.ndarray, channel: Any, own: dict[str, Any], device: torch.device) -> float:
    settings = channel.Settings.model_validate(PAPER | own)
    context = Context(0, PROCESSES, training=True, device=device.type)
    codebook = channel.fit(images, settings, context)
    some = images[: 256 if device.type == "cuda" else 16]
    return median_seconds(lambda: channel.transform(some, settings, codebook, context), repeats=3) / len(some)


def _seconds_a_pass(rows: int, repeats: int, device: torch.device) -> float:
    """One product with X and one with its transpose, for all classes: what a step of conjugate gradients takes."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (rows, DIMENSION // 8), dtype=np.uint8)
    centroids = rng.standard_normal((DIMENSION // 8, 256, 8), dtype=np.float32)
    vectors = Coded(codes, centroids)
    multiply = products(vectors, Scaling(np.zeros(DIMENSION, np.float32), 1.0), device, PROCESSES).normal
    directions = rng.standard_normal((CLASSES, DIMENSION), dtype=np.float32)
    weights, bias = np.ones((CLASSES, rows), np.float32), np.zeros((CLASSES, 1), np.float32)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply(directions, weights, bias)
        times.append(time.perf_counter() - started)
    return min(times)
