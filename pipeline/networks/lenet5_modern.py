"""LeNet-5 as it is drawn today: ReLU, max pooling, full connections in C3, a linear layer with softmax.

The sizes are the paper's (LeCun et al. 1998), the parts are not: what the same number of maps does with the habits of
the 2010s.
"""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.parts.sizes import to_32, variant_32
from pipeline.networks.parts.start import he
from pipeline.networks.parts.switches import no_published_start
from pipeline.settings import Training


class Settings(Training):
    """Nothing beside how it is trained."""


class ModernLeNet5(nn.Sequential):
    """Two convolutions, two poolings, three full layers."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 6, 5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
            nn.Linear(84, classes),
        )
        self.apply(he)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, classes)."""
        scores: torch.Tensor = super().forward(to_32(x))
        return scores


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W)."""
    no_published_start("lenet5_modern", settings)
    return ModernLeNet5(image_shape[0], classes)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What images other than grey ones of 32×32 change."""
    return variant_32(image_shape)
