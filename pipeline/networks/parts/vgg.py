"""VGG (Simonyan & Zisserman, ICLR 2015): 3×3 convolutions only, twice as many maps after each of five poolings.

Table 1's columns A, B, D and E; the batch-normalised forms came after the paper (Ioffe & Szegedy, ICML 2015). Weights
start from He's distribution: the paper trained shallow networks first to start the deep ones, which that made
unnecessary, as its authors note.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from pipeline.networks.parts.head import full_layers
from pipeline.networks.parts.layers import SquareConv2d
from pipeline.networks.parts.sizes import listed, other_size, other_width, require
from pipeline.networks.parts.start import he, tenth
from pipeline.settings import Training

#: Convolutions in each of the five stages.
CONFIGURATIONS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
MAPS = (64, 128, 256, 512, 512)
FULL = 4096
SMALLEST = 32  # five poolings halve it to 1
PUBLISHED = 224
PAPERS_HEAD_FROM = 112  # pixels a side: below, two layers of 4,096 units would be most of the network


class Settings(Training):
    """Beside how it is trained: how wide it is."""

    width: Annotated[float, Field(gt=0, le=2)]


def vgg(
    key: str, batch_norm: bool, settings: Settings, image_shape: tuple[int, int, int], classes: int
) -> nn.Sequential:
    """The network of a column of the paper's table.

    Args:
        key: one of CONFIGURATIONS.
        batch_norm: after each convolution.
        image_shape: (channels, H, W).

    Raises:
        PipelineError: the images are too small.
    """
    side = require(key + ("_bn" if batch_norm else ""), image_shape, SMALLEST, "resnet20")
    channels, height, width = image_shape
    layers: list[nn.Module] = []
    for convolutions, paper in zip(CONFIGURATIONS[key], MAPS, strict=True):
        maps = _scaled(paper, settings)
        for _ in range(convolutions):
            layers.append(SquareConv2d(channels, maps, 3))
            if batch_norm:
                layers.append(nn.BatchNorm2d(maps))
            layers.append(nn.ReLU(inplace=True))
            channels = maps
        layers.append(nn.MaxPool2d(2))
    full = _scaled(FULL if side >= PAPERS_HEAD_FROM else MAPS[-1], settings)
    flat = channels * (height // 32) * (width // 32)
    layers += [nn.Flatten(), *full_layers(flat, full, classes)]
    return nn.Sequential(*layers).apply(tenth if settings.start == "paper" else he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's 224×224 network."""
    size = other_size(image_shape, (PUBLISHED,))
    if min(image_shape[1:]) < PAPERS_HEAD_FROM:
        size = f"for small images: full layers of {_scaled(MAPS[-1], settings)} units in the place of 4,096"
    start = "He's start" if settings.start is None else ""
    return listed(size, other_width(settings.width), start)


def _scaled(size: int, settings: Settings) -> int:
    return max(1, round(settings.width * size))
