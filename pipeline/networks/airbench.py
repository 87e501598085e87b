"""A network of today for small images: airbench's, which learns in minutes what took hours a decade before.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024. As published: a 2×2 convolution that whitens the
images' patches and is not trained, but for its bias in the first epochs; three groups of two convolutions, 64, 256 and
256 maps, that start as near as they can to passing maps through (Dirac); batch normalisation without scales; GELU;
scores divided by the number of maps. With `optimizer: muon`, Muon moves the kernels, as in the author's faster version
of 2024; the published learning rates beside it are for a loss that is summed over the batch, and ours is its mean.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from pipeline.networks.parts.groups import Group
from pipeline.networks.parts.layers import Scale
from pipeline.networks.parts.sizes import listed, other_size, other_width, require
from pipeline.settings import Training

MAPS = (64, 256, 256)
SMALLEST = 9  # one place is left after the first convolution and three poolings
WHITENING_KERNEL = 2
WHITENING_EPSILON = 5e-4
WHITENING_BIAS_UNTIL = 0.35  # of the training
# SGD beside Muon, as published: rates of 0.053 and 0.67 beside 0.24, for each image of a batch; a step's decay is the
# same share of both, 2e-6 for each image.
BIAS_RATE, HEAD_RATE = 0.053 / 0.24, 0.67 / 0.24
BIAS_DECAY = HEAD_RATE / BIAS_RATE  # times the head's
SGD_MOMENTUM = 0.85
SGD_BIAS_RATE = 64.0  # without Muon, as published: times the kernels'


class Settings(Training):
    """Beside how it is trained: how wide its groups are."""

    width: Annotated[float, Field(gt=0, le=4)]


class Airbench(nn.Module):
    """Its layers: whitening, three groups, head."""

    def __init__(self, settings: Settings, image_shape: tuple[int, int, int], maps: list[int], classes: int) -> None:
        super().__init__()
        self.settings = settings
        channels, height, width = image_shape
        patch = channels * WHITENING_KERNEL**2
        left = tuple((side - WHITENING_KERNEL + 1) // 2 ** len(maps) for side in (height, width))
        self.whitening = nn.Conv2d(channels, 2 * patch, WHITENING_KERNEL)
        self.whitening.weight.requires_grad = False
        assert self.whitening.bias is not None
        nn.init.zeros_(self.whitening.bias)
        self.first = nn.GELU()
        self.groups = nn.Sequential(
            *(_group(before, after) for before, after in zip([2 * patch, *maps[:-1]], maps, strict=True))
        )
        self.pool = nn.MaxPool2d(left)  # of 3×3, as published, for 32×32
        self.flatten = nn.Flatten()
        self.head = nn.Linear(maps[-1], classes, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()
        self.scale = Scale(1 / maps[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, classes)."""
        x = self.first(self.whitening(x))
        x = self.flatten(self.pool(self.groups(x)))
        scores: torch.Tensor = self.scale(self.head(x))
        return scores

    @torch.no_grad()
    def learn_from(self, images: torch.Tensor) -> None:
        """Whiten: kernels are the patches' principal directions, each divided by its deviation, and their negatives."""
        kernel = WHITENING_KERNEL
        patches = images.float().unfold(2, kernel, 1).unfold(3, kernel, 1)
        flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * kernel * kernel).double()
        values, directions = torch.linalg.eigh(flat.T @ flat / len(flat))
        kernels = (directions / torch.sqrt(values + WHITENING_EPSILON)).T.flip(0)
        kernels = kernels.reshape(-1, images.shape[1], kernel, kernel).to(self.whitening.weight)
        self.whitening.weight.copy_(torch.cat([kernels, -kernels]))

    def parameter_groups(self) -> list[Group]:
        """Kernels, their normalisation's biases, the whitening's bias, the head."""
        kernels = [parameter for parameter in self.groups.parameters() if parameter.ndim == 4]
        biases = [
            parameter for parameter in self.groups.parameters() if parameter.requires_grad and parameter.ndim == 1
        ]
        whitening = self.whitening.bias
        assert isinstance(whitening, nn.Parameter)
        if self.settings.optimizer != "muon":
            return [
                Group([*kernels, *self.head.parameters()]),
                Group(biases, rate=SGD_BIAS_RATE, decay=1 / SGD_BIAS_RATE),
                Group([whitening], until=WHITENING_BIAS_UNTIL),
            ]
        size = self.settings.batch_size
        return [
            Group(kernels, orthogonal=True, decay=0),
            Group(biases, BIAS_RATE * size, decay=BIAS_DECAY, momentum=SGD_MOMENTUM),
            Group([whitening], BIAS_RATE * size, WHITENING_BIAS_UNTIL, decay=BIAS_DECAY, momentum=SGD_MOMENTUM),
            Group(list(self.head.parameters()), HEAD_RATE * size, momentum=SGD_MOMENTUM),
        ]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 9 pixels a side."""
    require("airbench", image_shape, SMALLEST, "resnet20")
    maps = [max(1, round(settings.width * paper)) for paper in MAPS]
    return Airbench(settings, image_shape, maps, classes)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the published network for 32×32."""
    return listed(other_size(image_shape, (32,)), other_width(settings.width))


def _group(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(before, after),
        nn.MaxPool2d(2),
        _normalisation(after),
        nn.GELU(),
        _convolution(after, after),
        _normalisation(after),
        nn.GELU(),
    )


def _convolution(before: int, after: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[: min(before, after)])
    return layer


def _normalisation(maps: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(maps, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer
