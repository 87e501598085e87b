"""AlexNet (Krizhevsky, Sutskever & Hinton, NIPS 2012): five convolutions in two towers, three full layers.

As in the paper: ReLU, two towers (groups) in the second, fourth and fifth convolution, local response normalisation,
overlapping pooling 3/2, dropout in the first two full layers. Departures, stated in the report:

- The stem for small images. The paper's 11×11 convolution of stride 4 was made for 224 pixels; on 32 it would leave
  nothing to convolve. Below 112 pixels a side it is 5×5 with padding 2, stride 1 up to 40 pixels and 2 above.
- The start. The paper's N(0, 0.01) learns nothing for several epochs, which 90 epochs forgive and 15 don't; weights
  start from He's distribution and biases from 0.
- `width` scales the number of channels and units; 1 is the paper's.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from pipeline.errors import PipelineError
from pipeline.networks.layers import LocalResponseNorm
from pipeline.settings import Training

SMALLEST = 24  # pixels a side: below, the last pooling has nothing left
SMALL_STEM_BELOW = 112
STRIDE_1_UP_TO = 40


class Settings(Training):
    """Beside how it is trained: how wide it is, and how much is dropped."""

    width: Annotated[float, Field(gt=0, le=2)]
    dropout: Annotated[float, Field(ge=0, lt=1)]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """AlexNet for images of (channels, H, W).

    Raises:
        PipelineError: the images are too small.
    """
    channels, height, width = image_shape
    side = min(height, width)
    if side < SMALLEST:
        raise PipelineError(
            f"alexnet needs images of at least {SMALLEST} pixels a side, these have {width}×{height}; "
            "set the data set's `image_size`, or leave alexnet out of `networks`"
        )
    c1, c2, c3, c5, full = (_even(settings.width * size) for size in (96, 256, 384, 256, 4096))
    layers = nn.Sequential(
        *_stem(channels, c1, side),
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
    with torch.no_grad():
        flat = layers(torch.zeros(1, channels, height, width)).shape[1]
    network = nn.Sequential(
        *layers,
        nn.Dropout(settings.dropout),
        nn.Linear(flat, full),
        nn.ReLU(inplace=True),
        nn.Dropout(settings.dropout),
        nn.Linear(full, full),
        nn.ReLU(inplace=True),
        nn.Linear(full, classes),
    )
    return network.apply(_start)


def _stem(channels: int, maps: int, side: int) -> list[nn.Module]:
    if side >= SMALL_STEM_BELOW:
        return [nn.Conv2d(channels, maps, 11, stride=4, padding=2)]
    return [nn.Conv2d(channels, maps, 5, stride=1 if side <= STRIDE_1_UP_TO else 2, padding=2)]


def _even(size: float) -> int:
    """Two towers need an even number."""
    return max(2, 2 * round(size / 2))


def _start(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
