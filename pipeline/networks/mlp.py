"""A multi-layer perceptron with sigmoids, trained by back-propagation (Rumelhart, Hinton & Williams, Nature 1986).

784 inputs for 28×28 grey images, as many as an image has numbers for others; LeCun et al. (1998) give 4.7 % for one
hidden layer of 300 units on MNIST. Many hidden layers of sigmoids show how gradients vanish (`gradients` in the
results).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from pipeline.networks.parts.start import xavier
from pipeline.networks.parts.switches import no_published_start
from pipeline.settings import Positive, Training


class Settings(Training):
    """Beside how it is trained: units in each hidden layer."""

    hidden: Annotated[list[Positive], Field(min_length=1)]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W)."""
    no_published_start("mlp", settings)
    channels, height, width = image_shape
    layers: list[nn.Module] = [nn.Flatten()]
    units = channels * height * width
    for hidden in settings.hidden:
        layers += [nn.Linear(units, hidden), nn.Sigmoid()]
        units = hidden
    return nn.Sequential(*layers, nn.Linear(units, classes)).apply(xavier)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """Which layers it has: no publication fixed them."""
    return f"hidden layers of {', '.join(map(str, settings.hidden))} units"
