"""EfficientNet-Lite0 (Tan & Le, EfficientNet, ICML 2019; its Lite variants: Google, 2020).

Blocks as in MobileNetV2 (Sandler et al., CVPR 2018): 1×1 up, a depthwise convolution, 1×1 down, and a shortcut where
shapes agree. Lite leaves out squeeze-and-excitation and swish, so ReLU6 throughout, and keeps stem and head at B0's
size. Borders are TensorFlow's "same": where a stride of 2 needs an odd number of zeros, the one more is at the right
and at the bottom. Weights that TensorFlow trained are wrong by a pixel with any other border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

EPSILON, MOMENTUM = 1e-3, 0.01  # of batch normalisation, in PyTorch's sense of momentum
STEM, HEAD = 32, 1280


@dataclass(frozen=True)
class Stage:
    """Blocks in a row: the first has the stride and changes the number of maps."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    maps: int


#: Table 1 of the paper; all of Lite0's widths and depths are B0's.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Same(nn.Conv2d):
    """A convolution without bias whose output has ceil(input / stride) places a side, as TensorFlow's "same"."""

    def __init__(self, inputs: int, maps: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        symmetric = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, maps, kernel, stride, symmetric, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, maps, ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] > 1:
            (top, bottom), (left, right) = (
                _zeros(int(side), self.kernel_size[0], self.stride[0]) for side in (x.shape[2], x.shape[3])
            )
            x = nn.functional.pad(x, (left, right, top, bottom))
        return super().forward(x)


def _zeros(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many before and behind."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class Block(nn.Module):
    """An inverted bottleneck: up by 1×1 where it expands, depthwise, down by 1×1."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        up = [Same(inputs, inner, 1), _normalised(inner), nn.ReLU6(inplace=True)] if stage.expansion > 1 else []
        self.up = nn.Sequential(*up)
        self.depthwise = nn.Sequential(
            Same(inner, inner, stage.kernel, stride, groups=inner), _normalised(inner), nn.ReLU6(inplace=True)
        )
        self.down = nn.Sequential(Same(inner, stage.maps, 1), _normalised(stage.maps))
        self.shortcut = stride == 1 and inputs == stage.maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, maps, H / stride, W / stride)."""
        out: torch.Tensor = self.down(self.depthwise(self.up(x)))
        return out + x if self.shortcut else out


class EfficientNetLite0(nn.Module):
    """The network: stem, sixteen blocks, head, mean over places, one full layer.

    4,652,008 parameters with 1,000 classes.
    """

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(Same(channels, STEM, 3, 2), _normalised(STEM), nn.ReLU6(inplace=True))
        blocks, before = [], STEM
        for stage in STAGES:
            for number in range(stage.blocks):
                blocks.append(Block(before, stage, 1 if number else stage.stride))
                before = stage.maps
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(Same(before, HEAD, 1), _normalised(HEAD), nn.ReLU6(inplace=True))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(HEAD, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → scores (B, classes)."""
        found: torch.Tensor = self.last(self.pool(self.head(self.blocks(self.stem(x)))))
        return found


def _normalised(maps: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(maps, eps=EPSILON, momentum=MOMENTUM)
