"""The perceptron (Rosenblatt, Psychological Review 1958): one layer of weights between pixels and decisions.

A unit a class, each with a threshold (its bias); the largest sum wins. Weights move only on mistakes: towards the image
for the right class, away from it for the class that was taken in its place, which is the gradient of the criterion
below. What one layer cannot do is shown in networks/xor.py.
"""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.parts.switches import no_published_start
from pipeline.settings import Training


class Settings(Training):
    """Nothing beside how it is trained."""


class Perceptron(nn.Sequential):
    """One layer."""

    def __init__(self, inputs: int, classes: int) -> None:
        layer = nn.Linear(inputs, classes)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        super().__init__(nn.Flatten(), layer)

    @staticmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean of (highest score − right score) over the batch: 0 for images that are taken for what they are."""
        right = scores.gather(1, labels[:, None])[:, 0]
        return (scores.amax(dim=1) - right).mean()


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W)."""
    no_published_start("perceptron", settings)
    channels, height, width = image_shape
    return Perceptron(channels * height * width, classes)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """It takes any image."""
    return ""
