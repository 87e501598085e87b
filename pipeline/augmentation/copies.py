"""The images that a feature is computed of: those of a split, and behind them their copies.

Behind the training images stand their augmented copies, and behind those of val their mirror images where two views
are asked for; in the same order, so row i belongs to image i mod N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.augmentation.augmenter import Augmenter
from pipeline.augmentation.colors import principal_colors
from pipeline.data.contract import Split
from pipeline.settings import STILL, Augmentation

PLAIN_MIRROR = STILL.model_copy(update={"mirror": True})


@dataclass(frozen=True)
class Rows:
    """A split's images and their copies, as one sequence.

    Attributes:
        split: the images.
        times: how often each stands there, itself included.
        allowed: what may change.
        seed: of all draws.
        palette: train's principal colours, for noise along them; None where there is none.
    """

    split: Split
    times: int
    allowed: Augmentation
    seed: int
    palette: np.ndarray | None = None

    @staticmethod
    def of_train(split: Split, copies: int, allowed: Augmentation, seed: int) -> Rows:
        """Each training image with its augmented copies."""
        palette = principal_colors(split.images) if allowed.color and copies else None
        return Rows(split, 1 + copies, allowed, seed, palette)

    @staticmethod
    def of_views(split: Split, views: int) -> Rows:
        """Each image of val, perhaps with its mirror image."""
        return Rows(split, views, PLAIN_MIRROR, 0)

    def __len__(self) -> int:
        return len(self.split) * self.times

    def images(self, part: slice) -> np.ndarray:
        """Some rows, uint8 (n, H, W, 3).

        Where mirroring is allowed the first copy is the mirror image, so that features see each image both ways round,
        and of the further ones every other is mirrored.
        """
        rows = np.arange(part.start, part.stop)
        numbers, copy = rows % len(self.split), rows // len(self.split)
        images = np.asarray(self.split.images[numbers])
        for number in np.unique(copy[copy > 0]):
            chosen = copy == number
            images[chosen] = self._copy(images[chosen], numbers[chosen], int(number))
        return images

    def _copy(self, images: np.ndarray, numbers: np.ndarray, number: int) -> np.ndarray:
        if number == 1 and self.allowed.mirror:
            return images[:, :, ::-1]
        augmenter = Augmenter(self.allowed, self.seed, palette=self.palette)
        return augmenter(torch.from_numpy(images), numbers, number, mirror=bool(number % 2)).numpy()
