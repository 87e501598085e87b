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

from pydantic import Field
from torch import nn

from pipeline.networks.parts.alexnet import PUBLISHED, SMALLEST, as_in_the_paper, head, paper_start, small_stem, stem
from pipeline.networks.parts.layers import LocalResponseNorm
from pipeline.networks.parts.sizes import listed, other_size, other_width, require
from pipeline.networks.parts.start import he
from pipeline.settings import Training


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
    return as_in_the_paper(network) if settings.start == "paper" else network.apply(he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's network for 224×224."""
    size = small_stem(image_shape) or other_size(image_shape, PUBLISHED)
    return listed(size, other_width(settings.width), paper_start(settings.start))


def _even(size: float) -> int:
    """Two towers need an even number."""
    return max(2, 2 * round(size / 2))
