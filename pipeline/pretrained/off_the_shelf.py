"""Activations before a network's last layer as a feature (Razavian et al., CNN features off the shelf, CVPRW 2014).

Images are brought to the size that the network wants, bicubically; what they become is computed without the last layer,
by convolutions that have taken in the batch normalisation behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.context import Codebook, Context
from pipeline.device import pick_device, pick_precision
from pipeline.parallel import slices, threads
from pipeline.pretrained.backbone import Backbone, Body
from pipeline.pretrained.remembered import remembered
from pipeline.settings import Section, Weights
from pipeline.settings.methods import different

BATCH = 32  # images: larger ones leave the processor's cache
Norm = Literal["none", "root"]
Side = Annotated[int, Field(ge=32, le=512)]


class Settings(Section):
    """Which weights, the side that images are brought to, and what is done to activations.

    `side`: pixels of the shorter one; the longer one keeps its ratio to it. If several are listed, val chooses.
    `norm`: root takes square roots and keeps signs, so that a few strong activations don't drown the others, and brings
    each image's to unit length (as Perronnin, Sánchez & Mensink, ECCV 2010, do to Fisher vectors).
    """

    weights: Weights
    side: Side | Annotated[list[Side], Field(min_length=1), AfterValidator(different)]
    norm: Norm


class Chosen(Protocol):
    """What every settings of such a feature have."""

    @property
    def weights(self) -> Weights:
        """Which."""

    @property
    def side(self) -> int | list[int] | None:
        """That images are brought to; None: the one that the network learned on."""

    @property
    def norm(self) -> Norm:
        """What is done to activations."""


def one_side(settings: Chosen) -> int | None:
    """Where several are listed, each is tried by itself (Recipe.at_each_side), so there is one here."""
    assert not isinstance(settings.side, list)
    return settings.side


@dataclass(frozen=True)
class OffTheShelf:
    """A network that learned from other images, as a feature."""

    backbone: Backbone

    def fit(self, images: np.ndarray, settings: Chosen, context: Context) -> Codebook:
        """The published weights, but for those of the last layer; nothing is learned from these images.

        Raises:
            Unavailable: the file is missing and can't be fetched.
            PipelineError: it is damaged, or of another architecture.
        """
        state = self.backbone.load(settings.weights, one_side(settings)).state_dict()
        return {name: value.numpy() for name, value in state.items() if not name.endswith("num_batches_tracked")}

    def transform(self, images: np.ndarray, settings: Chosen, codebook: Codebook, context: Context) -> np.ndarray:
        """What enters the last layer, uint8 (N, H, W, 3) → float32 (N, D); the same for any number of workers."""
        if context.training:
            return self._describe(images, settings, codebook, context)
        how = f"{one_side(settings)} {settings.norm} {pick_device(context.device)}"
        return remembered(images, codebook, how, lambda: self._describe(images, settings, codebook, context))

    def _describe(self, images: np.ndarray, settings: Chosen, codebook: Codebook, context: Context) -> np.ndarray:
        device = pick_device(context.device)
        precision = pick_precision("auto", device)
        body = filled(self.backbone, one_side(settings), codebook, device)

        def work(part: slice) -> np.ndarray:
            pixels = torch.tensor(images[part], device=device).permute(0, 3, 1, 2).float()
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                found = body(pixels)
            return normalised(found.float(), settings.norm).cpu().numpy()

        parts = slices(len(images), BATCH)
        if device.type == "cuda":
            return np.concatenate([work(part) for part in parts])
        with one_thread_each():
            return np.concatenate(list(threads(work, parts, context.workers)))


def filled(backbone: Backbone, side: int | None, codebook: Codebook, device: torch.device) -> Body:
    """A body with the weights that a codebook holds, ready to compute."""
    arrays = {name: torch.from_numpy(value) for name, value in codebook.items()}
    body = backbone.empty(side, arrays)
    body.load_state_dict(arrays, strict=False, assign=True)
    for module in body.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.num_batches_tracked = None  # it counts what is learned from
    folded: Body = fold(body.eval()).to(device).to(memory_format=torch.channels_last)  # type: ignore
    return folded


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Threads that are started within compute alone: of small layers most of the time is waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def normalised(activations: torch.Tensor, norm: Norm) -> torch.Tensor:
    """As `norm` of the settings says, (B, D)."""
    if norm == "none":
        return activations
    return nn.functional.normalize(activations.sign() * activations.abs().sqrt())


def fold(network: nn.Module) -> nn.Module:
    """Batch normalisation behind a convolution becomes a part of it: the same function up to rounding.

    Args:
        network: in evaluation mode; it is changed.
    """
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for number in range(len(module) - 1):
            before, after = module[number], module[number + 1]
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                module[number], module[number + 1] = fuse_conv_bn_eval(before, after), nn.Identity()
    return network
