"""Images of several splits together, of which any may be taken out as a split of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import layout
from pipeline.data.contract import Split, TrainingData, load_manifest, load_split, load_together
from pipeline.errors import PipelineError
from pipeline.parallel import slices

IN_MEMORY = 1 << 30  # bytes of images that are held in memory; more are written to disk
ROWS = 1024  # copied at once


@dataclass(frozen=True)
class Pooled:
    """Splits one behind the other.

    Attributes:
        parts: the splits, whose images stay on disk.
        labels: int64 (N,).
        ids: N names.
        together: int64 (N,), images with the same number stay in one split.
        classes: names.
        grey: whether all images of the data set are grey.
        fingerprint: of all splits of the data set.
    """

    parts: list[Split]
    labels: np.ndarray
    ids: list[str]
    together: np.ndarray
    classes: list[str]
    grey: bool
    fingerprint: Any

    @staticmethod
    def read(names: tuple[str, ...], folder: Path = layout.DATA) -> Pooled:
        """These splits, as prepare left them."""
        manifest = load_manifest(folder)
        parts = [load_split(name, folder) for name in names]
        return Pooled(
            parts,
            np.concatenate([part.labels for part in parts]),
            [name for part in parts for name in part.ids],
            np.concatenate([load_together(part, folder) for part in parts]),
            manifest["classes"],
            manifest["grey"],
            manifest["splits"],
        )

    @staticmethod
    def of(data: TrainingData) -> Pooled:
        """Train and val of a fit, each image by itself."""
        parts = [data.train, data.val]
        return Pooled(
            parts,
            np.concatenate([part.labels for part in parts]),
            [name for part in parts for name in part.ids],
            np.arange(sum(map(len, parts))),
            data.classes,
            data.grey,
            data.fingerprint,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, name: str, chosen: np.ndarray, work: Path | None = None) -> Split:
        """Some images as a split.

        Args:
            name: of the split.
            chosen: bool (N,).
            work: a folder for images that are too many for memory.
        """
        shape = int(chosen.sum()), *self.parts[0].images.shape[1:]
        images = self._room(name, shape, work)
        start = done = 0
        for part in self.parts:
            here = np.flatnonzero(chosen[start : start + len(part)])
            for some in slices(len(here), ROWS):
                images[done : done + len(here[some])] = part.images[here[some]]
                done += len(here[some])
            start += len(part)
        return Split(name, images, self.labels[chosen], [self.ids[row] for row in np.flatnonzero(chosen)])

    @staticmethod
    def _room(name: str, shape: tuple[int, ...], work: Path | None) -> np.ndarray:
        if work is None or np.prod(shape) <= IN_MEMORY:
            return np.empty(shape, np.uint8)
        try:
            work.mkdir(parents=True, exist_ok=True)
            return np.lib.format.open_memmap(work / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
        except OSError as error:
            raise PipelineError(f"{work}: cannot be written ({error.strerror or error})") from error
