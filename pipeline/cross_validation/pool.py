"""All images of a data set together, and what a method may see of them while one fold is test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import layout
from pipeline.data import splits
from pipeline.data.contract import SPLITS, Split, TrainingData, load_folds, load_manifest, load_split
from pipeline.randomness import generator


@dataclass(frozen=True)
class Pool:
    """Train, val and test one behind the other.

    Attributes:
        parts: the splits, in that order; their images stay on disk.
        labels: int64 (N,).
        ids: N names.
        folds: int64 (N,), the fold whose test an image is in.
        together: int64 (N,), images with the same number stay in one split.
        classes: names.
        grey: whether all images are grey.
        fingerprint: tells these images and folds from any others.
    """

    parts: list[Split]
    labels: np.ndarray
    ids: list[str]
    folds: np.ndarray
    together: np.ndarray
    classes: list[str]
    grey: bool
    fingerprint: object

    @staticmethod
    def read(folder: Path = layout.DATA) -> Pool | None:
        """As prepare left it; None where it drew no folds."""
        manifest = load_manifest(folder)
        if not manifest["folds"]:
            return None
        parts = [load_split(name, folder) for name in SPLITS]
        drawn = [load_folds(part, folder) for part in parts]
        return Pool(
            parts,
            np.concatenate([part.labels for part in parts]),
            [name for part in parts for name in part.ids],
            np.concatenate([folds for folds, _ in drawn]),
            np.concatenate([together for _, together in drawn]),
            manifest["classes"],
            manifest["grey"],
            [manifest["splits"], [folds.tolist() for folds, _ in drawn]],
        )

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1

    def rows(self, name: str, chosen: np.ndarray) -> Split:
        """Some images as a split, in memory.

        Args:
            name: of the split.
            chosen: bool (N,).
        """
        images, start = [], 0
        for part in self.parts:
            here = np.flatnonzero(chosen[start : start + len(part)])
            images.append(np.asarray(part.images[here]))
            start += len(part)
        ids = [self.ids[row] for row in np.flatnonzero(chosen)]
        return Split(name, np.concatenate(images), self.labels[chosen], ids)

    def fold(self, number: int, val_fraction: float, seed: int) -> tuple[TrainingData, Split]:
        """Train and val drawn from all other folds, by class and in whole groups, and the fold itself as test.

        Args:
            val_fraction: of the images outside the fold.
        """
        test = self.folds == number
        outside = np.flatnonzero(~test)
        random = generator(seed, f"val of fold {number}")
        drawn = splits.in_groups(
            self.labels[outside], self.together[outside], val_fraction, random, self.classes, leave=1
        )
        val = np.zeros(len(test), bool)
        val[outside[drawn]] = True
        data = TrainingData(
            self.rows("train", ~test & ~val), self.rows("val", val), self.classes, self.grey, [self.fingerprint, number]
        )
        return data, self.rows("test", test)
