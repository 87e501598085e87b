"""AlexNet in one tower, without local response normalisation: what most libraries mean by the name.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 2014; 61,100,840 parameters.
It says nothing of how weights start, so `start: paper` is that of the AlexNet paper.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from pipeline.networks.parts.alexnet import PUBLISHED, SMALLEST, as_in_the_paper, head, paper_start, small_stem, stem
from pipeline.networks.parts.sizes import listed, other_size, other_width, require
from pipeline.networks.parts.start import he
from pipeline.settings import Training


class Settings(Training):
    """Beside how it is trained: how wide it is."""

    width: Annotated[float, Field(gt=0, le=2)]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 24 pixels a side."""
    side = require("alexnet_one_tower", image_shape, SMALLEST, "cuda_convnet")
    c1, c2, c3, c5, full = (max(1, round(settings.width * size)) for size in (64, 192, 384, 256, 4096))
    layers = nn.Sequential(
        stem(image_shape[0], c1, side),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(c1, c2, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(c2, c3, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(c3, c5, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(c5, c5, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
    )
    network = nn.Sequential(*layers, *head(layers, image_shape, full, classes))
    return as_in_the_paper(network) if settings.start == "paper" else network.apply(he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the published network for 224×224."""
    size = small_stem(image_shape) or other_size(image_shape, PUBLISHED)
    return listed(size, other_width(settings.width), paper_start(settings.start))
