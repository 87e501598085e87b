"""Layers that torch does not have, or not as the papers describe them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn


class ScaledTanh(nn.Module):
    """1.7159 · tanh(2x/3): f(±1) = ±1, largest curvature there (LeCun et al. 1998, appendix A)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it, any shape."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class SquareConv2d(nn.Conv2d):
    """A convolution that keeps the size of its maps: odd kernel, stride 1, borders of zeros.

    Where maps of a few pixels meet many kernels, it is one product of all patches and all kernels: the gradient that
    oneDNN computes for 512×512 kernels from maps of 2×2 takes a CPU several times as long. Elsewhere oneDNN is faster,
    since the patches are written out.
    """

    #: Pixels of a map up to which the product is faster (Intel Xeon, batches of 64 to 512), by the input's dtype.
    FEW_PIXELS: ClassVar = {torch.bfloat16: 16, torch.float32: 4}
    MANY_MAPS = 256  # in and out, from which on it is

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, outputs, H, W)."""
        many = min(self.in_channels, self.out_channels) >= self.MANY_MAPS
        if x.device.type == "cpu" and many and x.shape[2] * x.shape[3] <= self.FEW_PIXELS.get(x.dtype, 0):
            return self.as_product(x)
        return super().forward(x)

    def as_product(self, x: torch.Tensor) -> torch.Tensor:
        """The same numbers, up to rounding."""
        height, width = x.shape[2:]
        border, sides = self.kernel_size[0] // 2, range(self.kernel_size[0])
        padded = nn.functional.pad(x, (border,) * 4).permute(0, 2, 3, 1)
        patches = torch.cat([padded[:, top : top + height, left : left + width] for top in sides for left in sides], 3)
        kernels = self.weight.permute(0, 2, 3, 1).flatten(1)  # without a copy where they lie channels-last
        return nn.functional.linear(patches, kernels, self.bias).permute(0, 3, 1, 2)


class Subsampling(nn.Module):
    """LeNet's pooling: mean over 2×2, times a trained coefficient, plus a trained bias; one of each per map.

    The paper adds the four numbers; a coefficient four times as large makes that the same.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, maps, H, W) → (B, maps, H/2, W/2)."""
        pooled = nn.functional.avg_pool2d(x, 2)
        return pooled * self.coefficient[:, None, None] + self.bias[:, None, None]


class EuclideanRadialBasis(nn.Module):
    """Minus the squared distance to each class's picture (equation 7), which is not trained (LeNet-5's output)."""

    def __init__(self, pictures: torch.Tensor) -> None:
        """pictures: ±1, (classes, 84)."""
        super().__init__()
        self.register_buffer("pictures", pictures)
        self.pictures: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 84) → (B, classes)."""
        return -(x[:, None, :] - self.pictures).square().sum(dim=2)


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


class LocallyConnected2d(nn.Module):
    """A convolution whose weights are not shared: each place has kernels of its own; odd, stride 1, borders of zeros.

    weight[place] has a row for each number that the place sees: row by row, column by column, input by input.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, height: int, width: int) -> None:
        """height, width: of the maps that it sees, and gives."""
        super().__init__()
        self.kernel, self.height, self.width = kernel, height, width
        self.weight = nn.Parameter(torch.empty(height * width, kernel * kernel * inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(height * width, 1, outputs))
        nn.init.normal_(self.weight, std=(2 / (inputs * kernel * kernel)) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, height, width) → (B, outputs, height, width)."""
        out = torch.baddbmm(self.bias.to(x.dtype), self._patches(x), self.weight.to(x.dtype))
        return out.permute(1, 2, 0).unflatten(2, (self.height, self.width))

    def _patches(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, height, width) → (places, B, kernel² · inputs).

        `unfold` puts the places last, and the products, here and backward, would copy all of it into another order.
        """
        border, sides = self.kernel // 2, range(self.kernel)
        padded = nn.functional.pad(x, (border,) * 4).permute(2, 3, 0, 1).contiguous()
        seen = [padded[top : top + self.height, left : left + self.width] for top in sides for left in sides]
        return torch.cat(seen, dim=3).flatten(0, 1)


class Maxout(nn.Module):
    """The larger of two neighbouring maps or units (Goodfellow et al., ICML 2013): half as many come out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 2·C, …) → (B, C, …)."""
        return x.unflatten(1, (-1, 2)).amax(dim=2)


class Scale(nn.Module):
    """Times a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x * self.factor
