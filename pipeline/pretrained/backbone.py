"""A network that learned from other images, without its last layer: how it is made, and what it wants to see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from pipeline.networks.parts.layers import EuclideanRadialBasis
from pipeline.pretrained.weights import fit_into, read_weights
from pipeline.settings import Weights

LAST = (nn.Linear, EuclideanRadialBasis)  # what networks end with
LUMA = (0.299, 0.587, 0.114)  # of R, G and B in a grey value (ITU-R BT.601), as everywhere in this project


class Entry(nn.Module):
    """From pixels as they are to what the network learned on: its size, its channels, its normalisation."""

    def __init__(
        self, channels: int, size: int | tuple[int, int], centre: tuple[float, ...], spread: tuple[float, ...]
    ) -> None:
        """A number as `size` is the shorter side, and the longer one keeps its ratio to it; a pair is (H, W).

        Args:
            channels: 3, or 1 for a network of grey images.
            size: that images are brought to, in pixels.
            centre: of pixels (0-255), one for each channel.
            spread: what enters the network is (pixel − centre) / spread.
        """
        super().__init__()
        self.channels, self.size = channels, size
        self.centre: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("centre", torch.tensor(centre).view(channels, 1, 1))
        self.register_buffer("spread", torch.tensor(spread).view(channels, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float (B, 1 or 3, H, W) from 0 to 255 → (B, channels, H', W'), channels last in memory."""
        if pixels.shape[1] > self.channels:
            weights = pixels.new_tensor(LUMA).view(3, 1, 1)
            pixels = (pixels * weights).sum(dim=1, keepdim=True)
        elif pixels.shape[1] < self.channels:
            pixels = pixels.expand(-1, self.channels, -1, -1)
        ready = (resized(pixels, self.size) - self.centre) / self.spread
        return ready.contiguous(memory_format=torch.channels_last)


class Body(nn.Module):
    """All of a network but its last layer, behind an Entry: pixels in, activations out."""

    def __init__(self, entry: Entry, network: nn.Module) -> None:
        """network: without its last layer."""
        super().__init__()
        self.entry, self.network = entry, network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float (B, 1 or 3, H, W) from 0 to 255 → (B, D)."""
        activations: torch.Tensor = self.network(self.entry(pixels))
        return activations.flatten(1)


class Backbone(ABC):
    """An architecture, and where its weights come from."""

    @abstractmethod
    def load(self, weights: Weights, side: int | None) -> Body:
        """With its weights.

        Args:
            weights: which.
            side: that images are brought to; None: the one that it learned on.

        Raises:
            Unavailable: the file is missing and can't be fetched.
            PipelineError: it is damaged, or of another architecture.
        """

    @abstractmethod
    def empty(self, side: int | None, arrays: Mapping[str, torch.Tensor]) -> Body:
        """Without them: to be filled with `arrays`, which are the state of one that was loaded."""


@dataclass(frozen=True)
class Published(Backbone):
    """An architecture of which somebody publishes weights.

    Attributes:
        build: makes the network for images of a side.
        named: from a name in the published file to ours.
        centre, spread: of pixels (0-255), by which it wants them normalised, of R, G, B; see Entry.
        headed: whether it ends with a layer for its own classes, which is left out.
        passed_over: names in the published file of what only teaching needs.
    """

    build: Callable[[int], nn.Module]
    named: Callable[[str], str]
    centre: tuple[float, float, float]
    spread: tuple[float, float, float]
    headed: bool = True
    passed_over: tuple[str, ...] = ()

    def load(self, weights: Weights, side: int | None) -> Body:
        """See Backbone; the last layer's weights, which know other classes, are left out."""
        assert side is not None
        network = self.build(side)
        found = read_weights(weights)
        wanted = [name for name in found if not name.endswith(("num_batches_tracked", *self.passed_over))]
        fit_into(network, {self.named(name): found[name] for name in wanted}, weights.file)
        return self._body(side, network)

    def empty(self, side: int | None, arrays: Mapping[str, torch.Tensor]) -> Body:
        """See Backbone; on no device, since a start would be overwritten."""
        assert side is not None
        with torch.device("meta"):
            return self._body(side, self.build(side))

    def _body(self, side: int, network: nn.Module) -> Body:
        entry = Entry(3, side, self.centre, self.spread)
        return Body(entry, without_last(network) if self.headed else network)


def without_last(network: nn.Module) -> nn.Module:
    """Leave out the last layer, whose classes are others'; what entered it is then what comes out.

    Args:
        network: it is changed.
    """
    name = [name for name, module in network.named_modules() if isinstance(module, LAST)][-1]
    if not name:
        return nn.Identity()
    network.set_submodule(name, nn.Identity())
    return network


def resized(pixels: torch.Tensor, size: int | tuple[int, int]) -> torch.Tensor:
    """Bring images to a size, bicubically and without leaving 0-255.

    Args:
        pixels: float (B, 3, H, W).
        size: a pair (H, W); or a number, which the shorter side becomes, and the longer one keeps its ratio to it.
    """
    height, width = (int(side) for side in pixels.shape[2:])  # ONNX's exporter has tensors there
    if isinstance(size, int):
        factor = size / min(height, width)
        size = (round(height * factor), round(width * factor))
    if size == (height, width):
        return pixels
    smaller = size[0] < height or size[1] < width
    found = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=smaller)
    return found.clamp_(0, 255)
