"""Seconds of work, in which what is remembered counts with the seconds that it took when it was computed.

Costs are a result here: a curve whose test images are described once, and looked up afterwards, must not say that a
model is faster than it is.
"""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.files import read_json, write_json

_credited = 0.0


def seconds() -> float:
    """For differences, like time.perf_counter."""
    return time.perf_counter() + _credited


def credit(spared: float) -> None:
    """Count seconds that were spared now and spent before."""
    global _credited
    _credited += spared


class Kept:
    """Seconds of work that may be interrupted: what is kept in a file counts, when the work goes on."""

    def __init__(self, path: Path) -> None:
        """Start; path: where they are kept."""
        self._path = path
        self._before = float(read_json(path, "that wrote it")) if path.is_file() else 0.0
        self._started = seconds()

    @property
    def seconds(self) -> float:
        """Of this run and of those before it."""
        return self._before + seconds() - self._started

    def keep(self) -> None:
        """So far."""
        write_json(self._path, self.seconds)
