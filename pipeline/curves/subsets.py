"""Subsets of the labelled images: nested, stratified, drawn anew by each seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import layout
from pipeline.data import splits
from pipeline.data.contract import TrainingData
from pipeline.data.pooled import Pooled
from pipeline.randomness import generator
from pipeline.settings.curve import FEWEST


def nested_order(labels: np.ndarray, together: np.ndarray, seed: int) -> np.ndarray:
    """An order of the images of which every beginning is a stratified subset.

    First come two images of each class, as far as possible not copies or of one group, so that both train and val can
    have one. From then on each class has its share of every beginning, to the image: the j-th of a class of N images
    has its place at (j + ½) / N of the whole. What comes first within a class is random.

    Args:
        labels: int (N,).
        together: int (N,), images with the same number stay in one split.

    Returns:
        int64 (N,), rows.
    """
    random = generator(seed, "order of labelled images")
    places = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        other = np.flatnonzero(together[members] != together[members[0]])
        if len(other):  # the second is of another unit than the first
            members[[1, other[0]]] = members[[other[0], 1]]
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
        places[members[:FEWEST]] -= 1  # before all others
    return np.lexsort((random.random(len(labels)), places))


@dataclass(frozen=True)
class Labelled:
    """All labelled images that a person has but for test.

    Attributes:
        images: train and val together.
        val_fraction: which share of a subset is val.
    """

    images: Pooled
    val_fraction: float

    @staticmethod
    def read(val_fraction: float, folder: Path = layout.DATA) -> Labelled:
        """As prepare left them."""
        return Labelled(Pooled.read(("train", "val"), folder), val_fraction)

    def draw(self, size: int, seed: int, work: Path | None = None) -> TrainingData:
        """So many images, of which val is drawn by class, at least one of each, copies and groups undivided.

        Args:
            size: how many, train and val together.
            work: a folder for images that are too many for memory.

        Raises:
            PipelineError: the images of a class are of too few groups.
        """
        images = self.images
        chosen = np.sort(nested_order(images.labels, images.together, seed)[:size])
        labels, together = images.labels[chosen], images.together[chosen]
        random = generator(seed, f"val of {size} images")
        if len(np.unique(together)) == size:
            drawn = splits.stratified(labels, self.val_fraction, random, images.classes)
        else:
            drawn = splits.in_groups(labels, together, self.val_fraction, random, images.classes)
        train, val = np.zeros(len(images), bool), np.zeros(len(images), bool)
        train[chosen[~drawn]], val[chosen[drawn]] = True, True
        return TrainingData(
            images.rows("train", train, work),
            images.rows("val", val, work),
            images.classes,
            images.grey,
            [images.fingerprint, self.val_fraction, size, seed],
        )
