"""What a benchmark case gives, and how times are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 5
PROCESSES = 2


class Skipped(Exception):
    """A case that can't run here, with the reason."""


@dataclass(frozen=True)
class Row:
    """One line of the result.

    Attributes:
        name: of the case.
        ours, peer: figures in `unit`; `peer` is None where the peer is absent.
        peer_name: what we compare with.
        unit: of both; a unit that ends in /s is better when larger, any other when smaller.
        goal: how many times better than the peer we want to be; None for a figure without a goal.
    """

    name: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str
    goal: float | None

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer."""
        if self.peer is None:
            return None
        return self.ours / self.peer if self.unit.endswith("/s") else self.peer / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        return None if self.goal is None or self.ratio is None else self.ratio >= self.goal

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


def median_seconds(function: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median of some runs, after one that is not counted."""
    return medians([function], repeats)[0]


def medians(functions: Sequence[Callable[[], Any]], repeats: int = REPEATS) -> list[float]:
    """Medians of several functions that take turns, so that a machine that slows down slows all of them."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(repeats):
        for function, found in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


@contextmanager
def peer_pool() -> Iterator[Pool]:
    """Two forked processes, which see the parent's arrays without a copy: the best case for a peer."""
    with get_context("fork").Pool(PROCESSES) as pool:
        yield pool


def parts(count: int, size: int) -> list[tuple[int, int]]:
    """Consecutive ranges of at most `size`."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def cifar_images(data_root: Path, count: int) -> np.ndarray:
    """Real images, uint8 (count, 32, 32, 3).

    Raises:
        Skipped: CIFAR-10 does not lie under the data root.
    """
    from pipeline.data.sources.cifar import read_records

    path = data_root / "cifar-10-batches-bin" / "test_batch.bin"
    if not path.is_file():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    return read_records(path, 10)[0][:count]
