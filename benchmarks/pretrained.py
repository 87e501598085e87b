"""Activations of EfficientNet-Lite0 from images of 32×32 on, against the reference and the bare pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.measure import Row, Skipped, medians
from pipeline import settings
from pipeline.context import Context
from pipeline.cores import cores
from pipeline.device import pick_device, pick_precision
from pipeline.networks.parts.efficientnet_lite import EfficientNetLite0
from pipeline.pretrained.efficientnet_lite0 import METHOD
from pipeline.pretrained.off_the_shelf import BATCH

IMAGES, SIDE = 256, 128


def run(data_root: Path) -> list[Row]:
    """All compute in the precision that is native here; the reference in the batches that it is fastest with."""
    if pick_device("auto").type != "cpu":
        raise Skipped("it measures processors")
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise Skipped(f"the reference implementation is not installed ({error})") from error
    chosen = settings.load().feature("efficientnet_lite0", "pretrained").model_copy(update={"side": SIDE})
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    codebook = METHOD.fit(images, chosen, Context(0))
    ready = torch.randn(IMAGES, 3, SIDE, SIDE)
    context = Context(0, workers=cores(), training=True)  # training: nothing is remembered
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    whole = EfficientNetLite0(1000).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ours, peer, bare = medians(
        [
            lambda: METHOD.transform(images, chosen, codebook, context),
            _passes(reference, ready),
            _passes(whole, ready.contiguous(memory_format=torch.channels_last)),
        ]
    )
    name = f"EfficientNet-Lite0, {IMAGES} images of 32×32 enlarged to {SIDE}"
    return [
        Row(name, IMAGES / ours, IMAGES / peer, "the reference implementation, on enlarged images", "images/s", 2),
        Row(name, IMAGES / ours, IMAGES / bare, "our network's bare pass, on enlarged images", "images/s", 0.95),
    ]


def _passes(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """All images through a network, in batches."""
    precision = pick_precision("auto", torch.device("cpu"))

    def step() -> None:
        with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
            for batch in images.split(BATCH):
                network(batch)

    return step
