"""All images of a data set together, and what a method may see of them while one fold is test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import layout
from pipeline.data import splits
from pipeline.data.contract import SPLITS, Split, TrainingData, load_folds, load_manifest
from pipeline.data.pooled import Pooled
from pipeline.randomness import generator


@dataclass(frozen=True)
class Pool:
    """Train, val and test one behind the other.

    Attributes:
        images: all of them, in that order.
        folds: int64 (N,), the fold whose test an image is in.
    """

    images: Pooled
    folds: np.ndarray

    @staticmethod
    def read(folder: Path = layout.DATA) -> Pool | None:
        """As prepare left it; None where it drew no folds."""
        if not load_manifest(folder)["folds"]:
            return None
        images = Pooled.read(SPLITS, folder)
        return Pool(images, np.concatenate([load_folds(part, folder) for part in images.parts]))

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1

    @property
    def fingerprint(self) -> object:
        """Tells these images and folds from any others."""
        return [self.images.fingerprint, self.folds.tolist()]

    def fold(self, number: int, val_fraction: float, seed: int) -> tuple[TrainingData, Split]:
        """Train and val drawn from all other folds, by class and in whole groups, and the fold itself as test.

        Args:
            val_fraction: of the images outside the fold.
        """
        images, test = self.images, self.folds == number
        outside = np.flatnonzero(~test)
        random = generator(seed, f"val of fold {number}")
        drawn = splits.in_groups(
            images.labels[outside], images.together[outside], val_fraction, random, images.classes, leave=1
        )
        val = np.zeros(len(test), bool)
        val[outside[drawn]] = True
        data = TrainingData(
            images.rows("train", ~test & ~val),
            images.rows("val", val),
            images.classes,
            images.grey,
            [self.fingerprint, number],
        )
        return data, images.rows("test", test)
