"""What docs/scale.md needs of a machine with a GPU, in ten minutes: every step of ILSVRC-2011's winner, two networks.

Steps that have no version for GPUs (codebooks) are timed on the cores of that machine, and say so. On a machine without
a GPU everything runs on its cores, with fewer images, and the two networks are left out: the case `training` has those
that a CPU can train.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import ilsvrc, training
from benchmarks.measure import PROCESSES, Row, median_seconds
from benchmarks.project import make_project
from pipeline import settings
from pipeline.classifiers.linear_svm import LinearSVM
from pipeline.classifiers.vectors import Dense, Scaling
from pipeline.context import Codebook, Context
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.descriptors.dense_sift_torch import dense_sift_torch
from pipeline.device import pick_device
from pipeline.encoding.gmm import fit_mixture
from pipeline.encoding.pca import fit_pca
from pipeline.encoding.product_quantization import fit_product_quantizer
from pipeline.passes import Here

BIN_SIZES, STEP = (4, 6, 8), 4
NETWORKS = (
    training.Case("alexnet", 8192, {"width": 1.0}, side=227),
    training.Case("resnet50", 6144, side=224),
)


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        described: images whose dense SIFT is computed at once.
        predicted: images that the whole system scores.
        classes: that it scores.
        descriptors: of which codebooks are learned.
        gaussians: of the mixture.
        iterations: of EM.
        groups: of the quantiser, eight numbers each, of ilsvrc.DIMENSION / 8.
        vectors: that these are learned from.
    """

    described: int
    predicted: int
    classes: int
    descriptors: int
    gaussians: int
    iterations: int
    groups: int
    vectors: int


ON_GPU = Size(256, 256, 1000, 1_000_000, 1024, 5, 4096, 10_000)
ON_CPU = Size(16, 16, 1000, 100_000, 1024, 2, 512, 2048)


def run(data_root: Path) -> list[Row]:
    device = pick_device("auto")
    size = ON_GPU if device.type == "cuda" else ON_CPU
    rows = [*ilsvrc.run(data_root), _sift(size, device), *_codebooks(size), _prediction(size, device)]
    return rows + (_networks(data_root, device) if device.type == "cuda" else [])


def _sift(size: Size, device: torch.device) -> Row:
    images = ilsvrc.crops(size.described)
    there = torch.from_numpy(images).to(device)

    def describe() -> None:
        if device.type == "cuda":
            dense_sift_torch(there, BIN_SIZES, STEP)
            torch.cuda.synchronize(device)
        else:
            dense_sift(images, BIN_SIZES, STEP, workers=PROCESSES)

    rate = size.described / median_seconds(describe, repeats=3)
    return Row(f"dense SIFT, 256×256, 10,685 patches, {ilsvrc.place(device)}", rate, None, "", "images/s", None)


def _codebooks(size: Size) -> list[Row]:
    """Of numbers drawn at random: how long it takes does not depend on what they show."""
    rng = np.random.default_rng(0)
    workers = settings.Compute(device="cpu", workers="auto", backend="threading", scheduler=None).worker_count
    x = rng.standard_normal((size.descriptors, 128), dtype=np.float32)
    pca = _seconds(lambda: fit_pca(x, 64))
    small = np.ascontiguousarray(x[:, :64])
    gmm = _seconds(lambda: fit_mixture(small, size.gaussians, 0, size.iterations, Here(workers)))
    vectors = rng.standard_normal((size.vectors, 8 * size.groups), dtype=np.float32).astype(np.float16)
    quantiser = _seconds(lambda: fit_product_quantizer(vectors, 8, 0, Here(workers)))
    of = f"{size.descriptors:,} descriptors, {workers} cores"
    whole = ilsvrc.DIMENSION // 8 / size.groups
    return [
        Row(f"PCA of {of}", pca, None, "", "s", None),
        Row(f"{size.gaussians:,} Gaussians, k-means and {size.iterations} steps of EM, {of}", gmm, None, "", "s", None),
        Row(f"quantiser of {ilsvrc.DIMENSION:,} numbers from {size.vectors:,} vectors, {workers} cores, reckoned from "
            f"{size.groups} of its groups", whole * quantiser, None, "", "s", None),
    ]  # fmt: skip


def _prediction(size: Size, device: torch.device) -> Row:
    """Both channels' Fisher vectors, which are not coded, and all classes' scores of them."""
    images, rng = ilsvrc.crops(size.predicted), np.random.default_rng(0)
    weights = rng.standard_normal((size.classes, ilsvrc.DIMENSION), dtype=np.float32)
    unknown = np.full(size.classes, np.nan)
    scaling = Scaling(np.zeros(ilsvrc.DIMENSION, np.float32), 1.0)
    svm = LinearSVM(weights, np.zeros(size.classes, np.float32), scaling, unknown, unknown, 0.0)
    seconds = sum(_scoring(images, channel, own, svm, device) for channel, own in ilsvrc.channels())
    name = f"the 2011 system scores an image, {size.classes:,} classes, {ilsvrc.place(device)}"
    return Row(name, size.predicted / seconds, None, "", "images/s", None)


def _scoring(images: np.ndarray, channel: Any, own: dict[str, Any], svm: LinearSVM, device: torch.device) -> float:
    chosen = channel.Settings.model_validate(ilsvrc.PAPER | own | {"quantization": None})
    context = Context(0, PROCESSES, device=device.type)
    codebook: Codebook = channel.fit(ilsvrc.crops(256), chosen, context)

    def score() -> None:
        vectors = channel.transform(images, chosen, codebook, context)
        svm.scores(Dense(vectors), device, PROCESSES)

    return median_seconds(score, repeats=1)


def _networks(data_root: Path, device: torch.device) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        chosen = settings.load(make_project(Path(name) / "project", {"budget": "standard"}) / "params.yaml")
    return [row for case in NETWORKS for row in training.measure(case, chosen, data_root, device)]


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
