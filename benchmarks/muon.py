"""A step of Muon over the kernels of airbench's network at one and a half times its width, in float32."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.measure import Row, Skipped, medians
from pipeline.device import pick_device, pick_precision
from pipeline.training.optimizers import ITERATIONS, NEWTON_SCHULZ, orthogonal

#: Rows and columns of each.
KERNELS = ((96, 216), (96, 864), (384, 864), (384, 3456), (384, 3456), (384, 3456))


def run(data_root: Path) -> list[Row]:
    device = pick_device("auto")
    if pick_precision("auto", device) != torch.float32:
        raise Skipped("this device computes it in bfloat16, on whole kernels as in the publication")
    kernels = [torch.randn(shape) for shape in KERNELS]
    ours, peer = medians([lambda: [orthogonal(one) for one in kernels], lambda: [_published(one) for one in kernels]])
    name = "muon, six kernels of airbench's network made orthogonal, float32"
    return [Row(name, 1 / ours, 1 / peer, "whole kernels in every iteration", "steps/s", 1)]


def _published(x: torch.Tensor) -> torch.Tensor:
    """Jordan's iteration, every product with the whole kernel; wide matrices only."""
    a, b, c = NEWTON_SCHULZ
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
