"""Fine-tuning: a network goes on learning from where other images left it, behind a new last layer.

All layers learn, at one rate (Kornblith, Shlens & Le, Do better ImageNet models transfer better?, CVPR 2019). Their
batch normalisation keeps the statistics of the images that it came with: those of a batch of few images say little. The
new layer starts from zeros (Kolesnikov et al., Big Transfer, ECCV 2020), so that the others hear nothing of it until it
has begun to learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field
from torch import nn

from pipeline.pretrained.backbone import Backbone, Body
from pipeline.settings import Training, Weights

BATCH_NORM = nn.modules.batchnorm._BatchNorm
LOOKED_AT = 256  # images of train, from which the size of activations is measured
LOOK = 32  # at once


class FineTuning(Training):
    """How it is trained, and from which weights; what comes with them can't be another.

    The body has its own normalisation behind its entry, so that images come to it from 0 to 1.
    """

    weights: Weights
    optimizer: Literal["sgd"]
    normalisation: Literal["none"]
    activation: None
    batch_norm: None
    pooling: None
    start: None


class Settings(FineTuning):
    """For networks that take images of several sizes. `side`: pixels that the shorter side is brought to."""

    side: Annotated[int, Field(ge=32, le=512)]


class FineTuned(nn.Module):
    """A body with a new last layer.

    The layer sees activations that are divided by their root mean square over some images of train, so that one list of
    learning rates does for bodies with weak and with strong activations.
    """

    def __init__(self, body: Body, image_shape: tuple[int, int, int], classes: int) -> None:
        """For images of (channels, H, W)."""
        super().__init__()
        self.body = body
        self.size: torch.Tensor
        self.register_buffer("size", torch.ones(()))
        self.last = nn.Linear(_width(body, image_shape), classes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (B, channels, H, W) from 0 to 1 → scores (B, classes)."""
        scores: torch.Tensor = self.last(self.body(255 * x) / self.size)
        return scores

    @torch.no_grad()
    def learn_from(self, images: torch.Tensor) -> None:
        """Measure how strong activations are on images of train, float (n, channels, H, W) from 0 to 1."""
        training = self.training
        self.eval()
        squares = [self.body(255 * part).float().square().mean(dim=1) for part in images[:LOOKED_AT].split(LOOK)]
        self.size.copy_(torch.cat(squares).mean().sqrt().clamp(min=1e-6))
        self.train(training)

    def train(self, mode: bool = True) -> Self:
        """Batch normalisation stays as it came."""
        super().train(mode)
        for module in self.body.modules():
            if isinstance(module, BATCH_NORM):
                module.eval()
        return self


@dataclass(frozen=True)
class Tuned:
    """A network's module, of a backbone."""

    backbone: Backbone

    def build(self, settings: Any, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """With the weights that it starts from, for images of (channels, H, W).

        Raises:
            Unavailable: their file is missing and can't be fetched.
            PipelineError: it is damaged, or of another architecture.
        """
        body = self.backbone.load(settings.weights, getattr(settings, "side", None))
        return FineTuned(body, image_shape, classes)

    def rebuild(
        self, settings: Any, image_shape: tuple[int, int, int], classes: int, arrays: Mapping[str, torch.Tensor]
    ) -> nn.Module:
        """To be filled with `arrays`, its state when it was fitted; needs no file of weights."""
        own = {name.removeprefix("body."): value for name, value in arrays.items() if name.startswith("body.")}
        body = self.backbone.empty(getattr(settings, "side", None), own)
        body.load_state_dict(own, assign=True)
        return FineTuned(body, image_shape, classes)


def variant(settings: Any, image_shape: tuple[int, int, int]) -> str:
    """What it is fed with, in the place of images of the size that it learned on."""
    side = getattr(settings, "side", None)
    return "" if side is None or min(image_shape[1:]) == side else f"images brought to {side} pixels"


def _width(body: Body, image_shape: tuple[int, int, int]) -> int:
    with torch.no_grad():
        return body.eval()(torch.zeros(1, *image_shape)).shape[1]
