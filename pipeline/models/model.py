"""The model contract: what every fitted model promises, whatever it is made of.

Images uint8 (N, H, W, 3) of the data set's size go in, scores float32 (N, classes) come out; larger is better. A model
is fitted by the function `fit` of its family's module, which reads and writes no folder but the one it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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


class Model(ABC):
    """A fitted model.

    Attributes:
        batch: images that are scored together. Scores of the same images in the same batches have the same bytes; in
            other batches the last bits of float32 may differ, since matrix products then add up in another order.
    """

    batch: ClassVar[int]

    @abstractmethod
    def score_batch(self, images: np.ndarray) -> np.ndarray:
        """At most `batch` images uint8 (n, H, W, 3) → scores float32 (n, classes)."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learned, by name; what `restore` of the family's module takes."""

    @abstractmethod
    def embed(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 (N, H, W, 3) → what the model tells them by, float32 (N, d): alike for images that are alike."""

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
        for part in slices(len(images), self.batch):
            parts.append(self.score_batch(np.asarray(images[part])))
            advance(part.stop - part.start)
        return np.concatenate(parts)


@dataclass(frozen=True)
class Fitted:
    """What fitting returns.

    Attributes:
        model: fitted.
        val_scores: of val, float32 (N, classes).
        trials: what was tried on val, for tuning.json.
        training_seconds: from images to the model, tuning included.
        tuning_seconds: of these, what was spent on tries alone; None where tries are full fits.
        history: a network's, epoch by epoch (training.loop.Progress).
    """

    model: Model
    val_scores: np.ndarray
    trials: list[dict[str, Any]]
    training_seconds: float
    tuning_seconds: float | None = None
    history: Any = None


def with_prefix(prefix: str, arrays: Codebook) -> dict[str, np.ndarray]:
    """Names with `prefix/` before them."""
    return {f"{prefix}/{name}": values for name, values in arrays.items()}


def without_prefix(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those whose names begin with `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
