"""VGG's deep convolutions on 32×32 images, forward and backward: as products of matrices, against torch's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.measure import Row, Skipped, medians
from pipeline.device import pick_device, pick_precision
from pipeline.networks.parts.layers import SquareConv2d
from pipeline.training.memory import keep_freed_memory

BATCH = 128
MAPS = 512


def run(data_root: Path) -> list[Row]:
    if pick_device("auto").type != "cpu":
        raise Skipped("only CPUs compute them as products")
    keep_freed_memory()
    return [_row(side) for side in (2, 4)]


def _row(side: int) -> Row:
    dtype = pick_precision("auto", torch.device("cpu"))
    x = torch.randn(BATCH, MAPS, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
    layers = SquareConv2d(MAPS, MAPS, 3), nn.Conv2d(MAPS, MAPS, 3, padding=1)
    ours, peer = medians([_both_ways(layer, x) for layer in layers])
    name = f"convolution, {MAPS} kernels of 3×3 on {MAPS} maps of {side}×{side}, batch {BATCH}, {dtype}, both ways"
    return Row(name, BATCH / ours, BATCH / peer, "nn.Conv2d", "images/s", 1)


def _both_ways(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """As in training: bfloat16 is cast to from float32 weights, and the gradients of weights and input are made."""
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = x.clone().requires_grad_()
    given_back = torch.randn_like(x)

    def step() -> None:
        layer.zero_grad()
        x.grad = None
        with torch.autocast("cpu", x.dtype, enabled=x.dtype != torch.float32):
            out = layer(x)
        out.backward(given_back)

    return step
