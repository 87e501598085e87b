"""AlexNet (Krizhevsky, Sutskever & Hinton, NIPS 2012): five convolutions in two towers, three full layers.

As in the paper: ReLU, two towers (groups) in the second, fourth and fifth convolution, local response normalisation,
overlapping pooling 3/2, dropout in the first two full layers; 60,965,224 parameters at 227×227, or 224×224 with a
border of 2. Departures, stated in the report:

- The stem for small images. The paper's 11×11 convolution of stride 4 was made for 224 pixels; on 32 it would leave
  nothing to convolve. Below 112 pixels a side it is 5×5 with padding 2, stride 1 up to 40 pixels and 2 above.
- He's start. The paper's N(0, 0.01) (`start: paper`) learns nothing for several epochs, which 90 epochs forgive and 15
  don't. Its biases of 1 are 0.1 here: with 1 the loss is known to stay where it is.
- `width` scales the number of channels and units; 1 is the paper's.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from pipeline.networks.parts.layers import LocalResponseNorm
from pipeline.networks.parts.sizes import require
from pipeline.networks.parts.start import he, small
from pipeline.settings import Training

SMALLEST = 24  # pixels a side: below, the last pooling has nothing left
SMALL_STEM_BELOW = 112
STRIDE_1_UP_TO = 40
UNPADDED = 227
BIAS = 0.1
DROPPED = 0.5


class Settings(Training):
    """Beside how it is trained: how wide it is."""

    width: Annotated[float, Field(gt=0, le=2)]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """AlexNet for images of (channels, H, W).

    Raises:
        PipelineError: the images are too small.
    """
    side = require("alexnet", image_shape, SMALLEST, "cuda_convnet")
    channels = image_shape[0]
    c1, c2, c3, c5, full = (_even(settings.width * size) for size in (96, 256, 384, 256, 4096))
    layers = nn.Sequential(
        stem(channels, c1, side),
        nn.ReLU(inplace=True),
        LocalResponseNorm(c1),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(c1, c2, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        LocalResponseNorm(c2),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(c2, c3, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(c3, c3, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(c3, c5, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
    )
    network = nn.Sequential(*layers, *head(layers, image_shape, full, classes))
    return _as_in_the_paper(network) if settings.start == "paper" else network.apply(he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's network for 224×224."""
    parts = [small_stem(image_shape)] if small_stem(image_shape) else []
    if settings.width != 1:
        parts.append(f"{settings.width:g} times as wide")
    if settings.start != "paper":
        parts.append("He's start")
    return "; ".join(parts)


def stem(channels: int, maps: int, side: int) -> nn.Conv2d:
    """The first convolution, for images of `side` pixels."""
    if side >= SMALL_STEM_BELOW:
        return nn.Conv2d(channels, maps, 11, stride=4, padding=0 if side == UNPADDED else 2)
    return nn.Conv2d(channels, maps, 5, stride=1 if side <= STRIDE_1_UP_TO else 2, padding=2)


def small_stem(image_shape: tuple[int, int, int]) -> str:
    """Which stem small images get, in words; nothing for those that get the paper's."""
    side = min(image_shape[1:])
    if side >= SMALL_STEM_BELOW:
        return ""
    return f"for small images: a 5×5 stem of stride {1 if side <= STRIDE_1_UP_TO else 2}"


def head(layers: nn.Module, image_shape: tuple[int, int, int], full: int, classes: int) -> list[nn.Module]:
    """Three full layers behind `layers`, dropout before the first two."""
    with torch.no_grad():
        flat = layers(torch.zeros(1, *image_shape)).shape[1]
    return [
        nn.Dropout(DROPPED),
        nn.Linear(flat, full),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPPED),
        nn.Linear(full, full),
        nn.ReLU(inplace=True),
        nn.Linear(full, classes),
    ]


def _even(size: float) -> int:
    """Two towers need an even number."""
    return max(2, 2 * round(size / 2))


def _as_in_the_paper(network: nn.Sequential) -> nn.Sequential:
    """Section 5: N(0, 0.01), and positive biases in the second, fourth and fifth convolution and the full layers."""
    network.apply(small)
    weighted = [module for module in network if isinstance(module, (nn.Conv2d, nn.Linear))]
    for number in (2, 4, 5, 6, 7):
        bias = weighted[number - 1].bias
        assert bias is not None
        nn.init.constant_(bias, BIAS)
    return network
