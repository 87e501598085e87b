"""Layers that the networks share, and what can be counted on any network."""

from __future__ import annotations

import torch
from torch import nn


class ScaledTanh(nn.Module):
    """1.7159 · tanh(2x/3): f(±1) = ±1, largest curvature there (LeCun et al. 1998, appendix A)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it, any shape."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """LeNet's pooling: sum over 2×2, times a trained coefficient, plus a trained bias; one of each per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, maps, H, W) → (B, maps, H/2, W/2)."""
        pooled = nn.functional.avg_pool2d(x, 2)
        return pooled * self.coefficient[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Conv2d):
    """A convolution whose output maps see only some input maps (LeNet-5's C3)."""

    def __init__(self, table: list[list[int]], inputs: int, kernel: int) -> None:
        """table[o]: the input maps that output map o sees."""
        super().__init__(inputs, len(table), kernel)
        mask = torch.zeros(len(table), inputs, 1, 1)
        for output, seen in enumerate(table):
            mask[output, seen] = 1
        self.register_buffer("mask", mask, persistent=False)
        self.mask: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, outputs, H - kernel + 1, W - kernel + 1)."""
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias)


class LocalResponseNorm(nn.Module):
    """AlexNet's normalisation across channels: x / (k + α/n · Σ x²)^β over n neighbouring channels, β = 0.75.

    The same numbers as nn.LocalResponseNorm, several times faster on a CPU: the sum over neighbours is a 1×1
    convolution with a band matrix, and the power ¾ is made of square roots.
    """

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4, k: float = 2.0) -> None:
        super().__init__()
        index = torch.arange(channels)
        near = (index[:, None] - index[None, :]).abs() <= size // 2
        self.register_buffer("band", (near * (alpha / size))[:, :, None, None].float(), persistent=False)
        self.band: torch.Tensor
        self.k = k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W), same out."""
        root = torch.rsqrt(nn.functional.conv2d(x * x, self.band.to(x.dtype)) + self.k)
        return x * root * torch.sqrt(root)


def count_parameters(network: nn.Module) -> int:
    """Trained numbers; connections that a table leaves out don't count."""
    total = sum(parameter.numel() for parameter in network.parameters())
    for module in network.modules():
        if isinstance(module, PartialConv2d):
            total -= int((1 - module.mask).sum()) * module.kernel_size[0] * module.kernel_size[1]
    return total


def count_multiply_adds(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and full connections for one image of (channels, H, W)."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        per_number: float = weight[0].numel()
        if isinstance(module, PartialConv2d):
            per_number = int(module.mask.sum()) * module.kernel_size[0] * module.kernel_size[1] / len(module.mask)
        total += round(output[0].numel() * per_number)

    counted = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [module.register_forward_hook(count) for module in counted]
    training = network.training
    try:
        with torch.no_grad():
            parameter = next(network.parameters())
            network.eval()(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total
