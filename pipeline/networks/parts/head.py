"""The three full layers that end AlexNet and VGG."""

from __future__ import annotations

from torch import nn

DROPPED = 0.5


def full_layers(inputs: int, units: int, classes: int) -> list[nn.Module]:
    """Half of what the first two give is dropped (AlexNet, section 4.2; VGG, section 3.1)."""
    return [
        nn.Linear(inputs, units),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPPED),
        nn.Linear(units, units),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPPED),
        nn.Linear(units, classes),
    ]
