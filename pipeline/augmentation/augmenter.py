"""The changes that leave an image in its class, the same for both eras.

What an image gets is a function of (seed, epoch, image), never of the batch or the worker that it falls to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from pipeline.augmentation import bending, colors
from pipeline.device import to_device
from pipeline.randomness import seed_for, uniform_hash
from pipeline.settings import Augmentation

Flip = Literal["random", "alternating"]


@dataclass(frozen=True)
class Augmenter:
    """Changes images as a data set allows.

    Attributes:
        allowed: which changes.
        seed: of all draws.
        flip: `random`, or `alternating`: each image the other way round in every epoch.
        palette: train's principal colours, for noise along them; None where there is none.
    """

    allowed: Augmentation
    seed: int
    flip: Flip = "random"
    palette: np.ndarray | None = None

    def __call__(
        self, images: torch.Tensor, numbers: np.ndarray, epoch: int, mirror: bool | None = None
    ) -> torch.Tensor:
        """Mirror, shift, crop, bend, colour and cut out, each where it is allowed; edges are continued.

        Args:
            images: uint8 (B, H, W, C), any device.
            numbers: int (B,), the images' positions in train.
            epoch: gives every pass other changes.
            mirror: mirror all or none instead of half, where mirroring is allowed.

        Returns:
            uint8 (B, H, W, C) on the same device; `images` itself where nothing may change.
        """
        draws = _Draws(seed_for(self.seed, f"augment {epoch}"), numbers)
        turned = self._turned(draws, numbers, epoch, mirror)
        allowed = self.allowed
        if allowed.distort is not None or allowed.crop is not None:
            images = bending.bend(images, allowed, draws.some, turned)
        elif allowed.mirror or allowed.shift:
            images = _mirror_and_shift(images, allowed.shift, draws, turned)
        if allowed.color and self.palette is not None:
            images = colors.add_noise(images, allowed.color, self.palette, draws.some)
        if allowed.cutout:
            images = colors.cut_out(images, allowed.cutout, draws.some)
        return images

    def _turned(self, draws: _Draws, numbers: np.ndarray, epoch: int, mirror: bool | None) -> np.ndarray:
        if not self.allowed.mirror:
            return np.zeros(len(numbers), bool)
        if mirror is not None:
            return np.full(len(numbers), mirror)
        if self.flip == "alternating":
            first = uniform_hash(seed_for(self.seed, "first side"), 0, numbers) < 0.5
            return first ^ bool(epoch % 2)
        return draws.some(2) < 0.5


@dataclass(frozen=True)
class _Draws:
    """Random numbers of one epoch's images: draw d of image n is always the same."""

    seed: int
    numbers: np.ndarray

    def some(self, draw: int, count: int | None = None) -> np.ndarray:
        """In [0, 1): float64 (B,), or (B, count) that are all different draws."""
        if count is None:
            return uniform_hash(self.seed, draw, self.numbers)
        places = self.numbers[:, None].astype(np.int64) * count + np.arange(count)
        return uniform_hash(self.seed, draw, places)


def _mirror_and_shift(images: torch.Tensor, shift: int, draws: _Draws, turned: np.ndarray) -> torch.Tensor:
    """Pixels are only moved, so their bytes stay as they are.

    Only a few numbers an image come from the host: where each pixel comes from is worked out on the images' device.
    """
    count, height, width, _ = images.shape
    reach = 2 * shift + 1
    drawn = np.stack([np.floor(draws.some(0) * reach) - shift, np.floor(draws.some(1) * reach) - shift, turned])
    down, right, mirrored = to_device(drawn.astype(np.int64), images.device)
    rows, columns = _shifted(height, down), _shifted(width, right)
    columns = torch.where(mirrored[:, None] > 0, columns.flip(1), columns)
    first = torch.arange(count, device=images.device)[:, None] * height  # rows of all images, one after the other
    pixels = ((first + rows) * width)[:, :, None] + columns[:, None, :]
    return images.reshape(count * height * width, -1).index_select(0, pixels.reshape(-1)).reshape(images.shape)


def _shifted(length: int, shift: torch.Tensor) -> torch.Tensor:
    """Where each of `length` positions comes from, int64 (B, length)."""
    return (torch.arange(length, device=shift.device)[None, :] + shift[:, None]).clamp_(0, length - 1)
