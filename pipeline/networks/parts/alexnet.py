"""What AlexNet's two forms share: the first convolution, by the size of the images, and the three full layers."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.parts.head import full_layers

SMALLEST = 24  # pixels a side: below, the last pooling has little or nothing left
SMALL_STEM_BELOW = 112
STRIDE_1_UP_TO = 40
UNPADDED = 227
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
