"""What the fits of one method say, size by size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.curves.kept import Point


@dataclass(frozen=True)
class AtSize:
    """The fits of one method to one number of images.

    Attributes:
        size: labelled images.
        points: of each seed, in rising order.
        wrong: float32 (seeds, N), 1 where a fit's first guess of a test image is wrong.
    """

    size: int
    points: tuple[Point, ...]
    wrong: np.ndarray

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the points."""
        return tuple(point.seed for point in self.points)

    @property
    def errors(self) -> np.ndarray:
        """Top-1 on test of each seed, float64 (seeds,), 0-1."""
        return np.asarray(self.wrong.mean(axis=1, dtype=np.float64))

    @property
    def val_errors(self) -> np.ndarray:
        """Top-1 on val of each seed, float64 (seeds,), 0-1."""
        return np.array([point.val_error for point in self.points])


@dataclass(frozen=True)
class MethodCurve:
    """One method.

    Attributes:
        key: of the method.
        era: its era.
        at: by size, rising; sizes at which every fit failed are not there.
    """

    key: str
    era: str
    at: dict[int, AtSize]

    @staticmethod
    def of(key: str, era: str, points: Sequence[Point]) -> MethodCurve:
        """From a method's points; those that failed are left out."""
        usable = [point for point in points if point.ranks is not None]
        found = {}
        for size in sorted({point.size for point in usable}):
            mine = tuple(sorted((point for point in usable if point.size == size), key=lambda point: point.seed))
            wrong = np.stack([np.asarray(point.ranks) > 0 for point in mine]).astype(np.float32)
            found[size] = AtSize(size, mine, wrong)
        return MethodCurve(key, era, found)
