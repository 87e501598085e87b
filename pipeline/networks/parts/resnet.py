"""Residual networks (He, Zhang, Ren & Sun, CVPR 2016), for small images and for large ones, and plain networks beside.

Small (section 4.2): 6n + 2 layers, 16, 32 and 64 maps, shortcuts without parameters (option A: every other place, new
maps are zeros). Large (table 1): a 7×7 stem, four stages, shortcuts by projection where shapes change (option B).
A plain network is the same without shortcuts.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from pipeline.networks.parts.sizes import listed, other_size, other_width, require
from pipeline.networks.parts.start import he
from pipeline.settings import Training

MAPS_SMALL = (16, 32, 64)
MAPS_LARGE = (64, 128, 256, 512)
#: Blocks in each stage, and whether they are bottlenecks.
CONFIGURATIONS_LARGE = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}
SMALLEST = 8
LARGE_STEM_FROM = 112  # pixels a side: below, 7×7 stride 2 and a pooling would leave too little


class Settings(Training):
    """Beside how it is trained: how wide it is."""

    width: Annotated[float, Field(gt=0, le=4)]


class Block(nn.Module):
    """Two 3×3 convolutions, or 1×1, 3×3, 1×1 with a quarter of the maps inside, and what goes around them."""

    def __init__(self, inputs: int, maps: int, stride: int, bottleneck: bool, shortcut: nn.Module | None) -> None:
        """shortcut: what the input passes through before it is added; None: a plain network, nothing is added."""
        super().__init__()
        if bottleneck:
            inner = maps // 4
            steps = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, maps, 1, 1)]
        else:
            steps = [(inputs, maps, 3, stride), (maps, maps, 3, 1)]
        layers: list[nn.Module] = []
        for before, after, kernel, step in steps:
            layers += [_convolution(before, after, kernel, step), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.residual = nn.Sequential(*layers[:-1])
        self.shortcut = shortcut
        self.last = layers[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, maps, H/stride, W/stride)."""
        out = self.residual(x)
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        result: torch.Tensor = self.last(out)
        return result


class Subsample(nn.Module):
    """Option A: every other place, and maps of zeros behind those that there are."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, C + more, H/stride, W/stride)."""
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


def small(key: str, shortcuts: bool, settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of 6n + 2 layers that ends `key`.

    Raises:
        PipelineError: the images are too small.
    """
    require(key, image_shape, SMALLEST, "lenet5")
    depth = int(key.removeprefix("resnet").removeprefix("plain"))
    maps = [max(1, round(settings.width * paper)) for paper in MAPS_SMALL]
    layers: list[nn.Module] = [
        _convolution(image_shape[0], maps[0], 3, 1),
        nn.BatchNorm2d(maps[0]),
        nn.ReLU(inplace=True),
    ]
    before = maps[0]
    for stage, after in enumerate(maps):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            around = nn.Identity() if before == after and stride == 1 else Subsample(after - before, stride)
            layers.append(Block(before, after, stride, False, around if shortcuts else None))
            before = after
    return _headed(layers, before, classes)


def large(key: str, settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One of CONFIGURATIONS_LARGE.

    Raises:
        PipelineError: the images are too small.
    """
    side = require(key, image_shape, SMALLEST, "lenet5")
    blocks, bottleneck = CONFIGURATIONS_LARGE[key]
    maps = [max(1, round(settings.width * paper)) for paper in MAPS_LARGE]
    kernel, stride = (7, 2) if side >= LARGE_STEM_FROM else (3, 1)
    layers: list[nn.Module] = [
        _convolution(image_shape[0], maps[0], kernel, stride),
        nn.BatchNorm2d(maps[0]),
        nn.ReLU(inplace=True),
    ]
    if side >= LARGE_STEM_FROM:
        layers.append(nn.MaxPool2d(3, 2, padding=1))
    before = maps[0]
    for stage, inner in enumerate(maps):
        after = 4 * inner if bottleneck else inner
        for block in range(blocks[stage]):
            stride = 2 if stage and not block else 1
            around: nn.Module = nn.Identity()
            if before != after or stride > 1:
                around = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))
            layers.append(Block(before, after, stride, bottleneck, around))
            before = after
    return _headed(layers, before, classes)


def variant_small(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's network for 32×32."""
    return listed(other_size(image_shape, (32,)), other_width(settings.width))


def variant_large(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's network for 224×224."""
    size = other_size(image_shape, (224,))
    if min(image_shape[1:]) < LARGE_STEM_FROM:
        size = "for small images: a 3×3 stem of stride 1, no first pooling"
    return listed(size, other_width(settings.width))


def _convolution(inputs: int, maps: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, maps, kernel, stride=stride, padding=kernel // 2, bias=False)


def _headed(layers: list[nn.Module], maps: int, classes: int) -> nn.Module:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, classes)).apply(he)
