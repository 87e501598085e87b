"""AlexNet's forerunner for 32×32: the network of cuda-convnet's layers-conv-local (Krizhevsky, 2011).

Two convolutions of 64 maps with overlapping pooling and local response normalisation, then two layers of local
kernels that are not shared between places, 64 and 32 maps, then the classes. Published: 11 % error on CIFAR-10 by ten
views of crops of 24 pixels; here one view of whole images, shifted in training.
"""

from __future__ import annotations

from torch import nn

from pipeline.networks.parts.layers import LocallyConnected2d, LocalResponseNorm
from pipeline.networks.parts.sizes import listed, require
from pipeline.networks.parts.start import he
from pipeline.settings import Training

SMALLEST = 12  # two overlapping poolings leave 2
MAPS, LOCAL = 64, (64, 32)


class Settings(Training):
    """Nothing beside how it is trained."""


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 12 pixels a side."""
    require("cuda_convnet", image_shape, SMALLEST, "resnet20")
    channels, height, width = image_shape
    height, width = (_pooled(_pooled(side)) for side in (height, width))
    return nn.Sequential(
        nn.Conv2d(channels, MAPS, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        LocalResponseNorm(MAPS, 9, 1e-3, 1.0),
        nn.Conv2d(MAPS, MAPS, 5, padding=2),
        nn.ReLU(inplace=True),
        LocalResponseNorm(MAPS, 9, 1e-3, 1.0),
        nn.MaxPool2d(3, 2),
        LocallyConnected2d(MAPS, LOCAL[0], 3, height, width),
        nn.ReLU(inplace=True),
        LocallyConnected2d(LOCAL[0], LOCAL[1], 3, height, width),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(LOCAL[1] * height * width, classes),
    ).apply(he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not cuda-convnet's network for crops of 24×24."""
    size = f"whole images of {image_shape[2]}×{image_shape[1]} in the place of crops of 24×24"
    return listed(size, "He's start" if settings.start is None else "")


def _pooled(side: int) -> int:
    return (side - 3) // 2 + 1
