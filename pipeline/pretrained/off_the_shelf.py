"""Activations before a network's last layer as a feature (Razavian et al., CNN features off the shelf, CVPRW 2014).

Images are brought to the side that the network wants, bicubically; what they become is computed without the last layer,
by convolutions that have taken in the batch normalisation behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.context import Codebook, Context
from pipeline.device import pick_device, pick_precision
from pipeline.parallel import slices, threads
from pipeline.pretrained.remembered import remembered
from pipeline.pretrained.weights import fit_into, read_weights
from pipeline.settings import Section, Weights

BATCH = 32  # images: larger ones leave the processor's cache


class Settings(Section):
    """Which weights, the side that images are brought to, and what is done to activations.

    `side`: pixels of the shorter one; the longer one keeps its ratio to it. `norm`: root takes square roots, which
    keeps a few strong activations from drowning the others, and brings each image's to unit length (as Perronnin,
    Sánchez & Mensink, ECCV 2010, do to Fisher vectors); for activations that are never negative.
    """

    weights: Weights
    side: Annotated[int, Field(ge=32, le=512)]
    norm: Literal["none", "root"]


@dataclass(frozen=True)
class Backbone:
    """How one architecture is used.

    Attributes:
        build: makes the network for images of a side; its last full layer is left out.
        named: from a name in the published file to ours.
        centre, spread: of pixels (0-255), by which it wants them normalised: (pixel − centre) / spread, of R, G, B.
    """

    build: Callable[[int], nn.Module]
    named: Callable[[str], str]
    centre: tuple[float, float, float]
    spread: tuple[float, float, float]

    def fit(self, images: np.ndarray, settings: Settings, context: Context) -> Codebook:
        """The published weights, but for those of the last layer, which knows other classes; nothing is learned.

        Raises:
            Unavailable: the file is missing and can't be fetched.
            PipelineError: it is damaged, or of another architecture.
        """
        network = self.build(settings.side)
        found = read_weights(settings.weights)
        renamed = {self.named(name): value for name, value in found.items() if not name.endswith("num_batches_tracked")}
        fit_into(network, renamed, settings.weights.file)
        kept = without_last(network).state_dict()
        return {name: value.numpy() for name, value in kept.items() if not name.endswith("num_batches_tracked")}

    def transform(self, images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
        """What enters the last layer, uint8 (N, H, W, 3) → float32 (N, D); the same for any number of workers."""
        if context.training:
            return self._describe(images, settings, codebook, context)
        how = f"{settings.side} {settings.norm} {pick_device(context.device)}"
        return remembered(images, codebook, how, lambda: self._describe(images, settings, codebook, context))

    def _describe(self, images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
        device = pick_device(context.device)
        precision = pick_precision("auto", device)
        network = self._ready(settings.side, codebook, device)
        centre, spread = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in (self.centre, self.spread))

        def work(part: slice) -> np.ndarray:
            batch = torch.tensor(images[part], device=device).permute(0, 3, 1, 2).float()
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                pixels = (resized(batch, settings.side) - centre) / spread
                found = network(pixels.contiguous(memory_format=torch.channels_last))
            return normalised(found.float(), settings.norm).cpu().numpy()

        parts = slices(len(images), BATCH)
        if device.type == "cuda":
            return np.concatenate([work(part) for part in parts])
        with one_thread_each():
            return np.concatenate(list(threads(work, parts, context.workers)))

    def _ready(self, side: int, codebook: Codebook, device: torch.device) -> nn.Module:
        with torch.device("meta"):  # no time for a start that is overwritten
            network = without_last(self.build(side))
        weights = {name: torch.from_numpy(value) for name, value in codebook.items()}
        network.load_state_dict(weights, strict=False, assign=True)
        folded = fold(network.eval()).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return folded


def without_last(network: nn.Module) -> nn.Module:
    """Leave out the last full layer, whose classes are others'; what entered it is then what comes out.

    Args:
        network: it is changed.
    """
    name = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(name, nn.Identity())
    return network


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Threads that are started within compute alone: of small layers most of the time is waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resized(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Bring images to a shorter side of `side` pixels, bicubically and without leaving 0-255.

    Args:
        pixels: float (B, 3, H, W).
    """
    height, width = pixels.shape[2:]
    factor = side / min(height, width)
    size = (round(height * factor), round(width * factor))
    if size == (height, width):
        return pixels
    larger = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=factor < 1)
    return larger.clamp_(0, 255)


def normalised(activations: torch.Tensor, norm: str) -> torch.Tensor:
    """As `norm` of the settings says, (B, D)."""
    return nn.functional.normalize(activations.sqrt()) if norm == "root" else activations


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
