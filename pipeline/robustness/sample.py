"""Test images that are shown to every model, as they are and changed; a changed one is never kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from pipeline.data.contract import Split
from pipeline.parallel import slices, threads
from pipeline.randomness import generator
from pipeline.robustness.change import Beside, Change, Layers

TOGETHER = 32  # images that a thread changes in one go: some changes take less time than handing out an image


@dataclass(frozen=True)
class Sample:
    """Test images, and for each one another, of another class.

    Attributes:
        images: uint8 (n, H, W, 3).
        labels: int64 (n,).
        names: n.
        others: int64 (n,), rows of `images`.
        grey: whether all images of the data set are grey, as changed ones must stay then.
        seed: of all that is drawn.
        layers: of each image; None: not known.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    others: np.ndarray
    grey: bool
    seed: int
    layers: list[Layers] | None = None

    @staticmethod
    def of(test: Split, count: int, seed: int, grey: bool) -> Sample:
        """Drawn by class: each has its share."""
        rows = by_class(test.labels, count, seed)
        labels = test.labels[rows]
        names = [test.ids[int(row)] for row in rows]
        others = [_other(labels, row, seed, name) for row, name in enumerate(names)]
        return Sample(np.asarray(test.images[rows]), labels, names, np.array(others), grey, seed)

    def changed(self, change: Change, severity: int, rows: slice, workers: int) -> np.ndarray:
        """Some of the images after a change, uint8 (k, H, W, 3); the same, whoever works."""

        def work(part: slice) -> list[np.ndarray]:
            return [
                change.on(self.images[row], severity, self.seed, self.names[row], self._beside(row), self.grey)
                for row in range(rows.start + part.start, rows.start + part.stop)
            ]

        parts = threads(work, slices(rows.stop - rows.start, TOGETHER), workers)
        return np.stack([image for part in parts for image in part])

    def fingerprint(self) -> str:
        """Tells these images, and what they are changed with, from any others."""
        digest = hashlib.blake2b(self.images.tobytes(), digest_size=16)
        for part in (self.labels, self.others):
            digest.update(part.tobytes())
        digest.update(json.dumps([self.names, self.grey, self.seed, self.layers is not None]).encode())
        return digest.hexdigest()

    def _beside(self, row: int) -> Beside:
        other = int(self.others[row])
        known = None if self.layers is None else (self.layers[row], self.layers[other])
        return Beside(self.images[other], known)


def by_class(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of `count` images (all where there are fewer), each class with its share; more take in those of fewer."""
    order = generator(seed, "robustness sample").permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = order[labels[order] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels))
    return np.sort(np.lexsort((rank, place))[:count])


def _other(labels: np.ndarray, row: int, seed: int, name: str) -> int:
    """A row of another class; the image itself where the sample has but one class."""
    rows = np.flatnonzero(labels != labels[row])
    return int(rows[generator(seed, f"other {name}").integers(len(rows))]) if len(rows) else row
