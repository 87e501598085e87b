"""The model contract: what every fitted model promises, whatever it is made of.

Images uint8 (N, H, W, 3) of the data set's size go in, scores float32 (N, classes) come out; larger is better. A model
is fitted by the function `fit` of its family's module, which reads and writes no folder but the one it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from pipeline.context import Codebook
from pipeline.parallel import slices

#: Called with the number of images that are done.
Advance = Callable[[int], None]


def quiet(count: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Facts:
    """What a fitted model is and where it computes, for the costs in the report; see evaluation.scores.Cost."""

    bytes: int
    parameters: int
    multiply_adds: int | None
    device: str
    precision: str
    threads: int
    views: int = 1

    @staticmethod
    def of(cost: Mapping[str, Any]) -> Facts:
        """From a stored cost, which has more."""
        return Facts(**{field.name: cost[field.name] for field in fields(Facts)})


@dataclass(frozen=True)
class Seen:
    """What a model sees in images.

    Attributes:
        scores: float32 (n, classes), larger is better.
        embedding: what the model tells images by, float32 (n, d): a feature, or what enters a network's last layer.
            Images that the model takes for alike lie near one another.
        traces: what the image leaves on the way, in all layers of a network, float32 (n, d'); None where there is
            nothing on the way.
    """

    scores: np.ndarray
    embedding: np.ndarray
    traces: np.ndarray | None = None

    @property
    def told_by(self) -> np.ndarray:
        """What strangers are told by: the traces, where there are any, or else the embedding."""
        return self.embedding if self.traces is None else self.traces


@dataclass(frozen=True)
class Look:
    """What a model and what it knows of its training images say of other images.

    Attributes:
        scores: float32 (N, classes).
        strangeness: how unlike training each image is, float32 (N,); see familiarity.Familiarity.
        seconds: that scoring took, of all images together.
    """

    scores: np.ndarray
    strangeness: np.ndarray
    seconds: float


class Model(ABC):
    """A fitted model.

    Attributes:
        batch: images that are scored together. Scores of the same images in the same batches have the same bytes; in
            other batches the last bits of float32 may differ, since matrix products then add up in another order.
    """

    batch: ClassVar[int]

    @abstractmethod
    def see(self, images: np.ndarray) -> Seen:
        """Look at images uint8 (n, H, W, 3), at most `batch` of them, in one pass."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learned, by name; what `restore` of the family's module takes."""

    @abstractmethod
    def facts(self) -> Facts:
        """What it is and where it computes."""

    @property
    def nbytes(self) -> int:
        """Of all that was learned."""
        return sum(array.nbytes for array in self.arrays().values())

    def scores(self, images: np.ndarray, advance: Advance = quiet) -> np.ndarray:
        """Images uint8 (N, H, W, 3), perhaps on disk → scores float32 (N, classes), batch by batch."""
        parts = []
        for seen in self.batches(images):
            parts.append(seen.scores)
            advance(len(seen.scores))
        return np.concatenate(parts)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 (N, H, W, 3) → what the model tells them by, float32 (N, d); see Seen."""
        return np.concatenate([seen.embedding for seen in self.batches(images)])

    def batches(self, images: np.ndarray) -> Iterator[Seen]:
        """Images uint8 (N, H, W, 3), perhaps on disk → what is seen in each batch."""
        return (self.see(np.asarray(images[part])) for part in slices(len(images), self.batch))


def with_prefix(prefix: str, arrays: Codebook) -> dict[str, np.ndarray]:
    """Names with `prefix/` before them."""
    return {f"{prefix}/{name}": values for name, values in arrays.items()}


def without_prefix(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those whose names begin with `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
