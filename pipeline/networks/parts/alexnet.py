"""What AlexNet's two forms share: the stem, by the size of the images, the three full layers, the paper's start."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.parts.head import full_layers
from pipeline.networks.parts.start import small

SMALLEST = 24  # pixels a side: below, the last pooling has little or nothing left
SMALL_STEM_BELOW = 112
STRIDE_1_UP_TO = 40
UNPADDED = 227
BIAS = 0.1
PUBLISHED = (224, UNPADDED)  # the paper says 224 and computes with 227; a border of 2 makes them the same


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
    """Three full layers for what `layers` give for images of (channels, H, W)."""
    with torch.no_grad():
        flat = layers(torch.zeros(1, *image_shape)).shape[1]
    return full_layers(flat, full, classes)


def as_in_the_paper(network: nn.Sequential) -> nn.Sequential:
    """Section 5: N(0, 0.01), and positive biases in the second, fourth and fifth convolution and the full layers."""
    network.apply(small)
    weighted = [module for module in network if isinstance(module, (nn.Conv2d, nn.Linear))]
    for number in (2, 4, 5, 6, 7):
        bias = weighted[number - 1].bias
        assert bias is not None
        nn.init.constant_(bias, BIAS)
    return network


def paper_start(start: str | None) -> str:
    """What is not the paper's in how weights start, in words."""
    words = {None: "He's start", "paper": "biases that start at 0.1 in the place of 1"}
    return words.get(start, "")
