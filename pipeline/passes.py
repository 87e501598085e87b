"""Passes over many rows, chunk by chunk: by this machine's threads, or by others who are given the chunks.

Chunks have a fixed size. What they give is put together in groups of a fixed number of them, and then group after
group, so the result has the same bytes whoever does the work, and however many do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from pipeline.parallel import one_blas_thread, slices, threads

Arrays = tuple[np.ndarray, ...]
#: What is done with the rows of one chunk.
Work = Callable[[slice], Arrays]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes:
        make: from `arrays`, by their names, what does a chunk. It may be sent to other machines, so whatever is large
            belongs into `arrays`.
        arrays: what the work reads; nobody changes them as long as they exist.
        count: rows in all.
        chunk: rows that are done at once.
        group: chunks whose results are put together before those of other groups join them.
        together: see `joined` and `added`.
        products: multiplications of the whole pass, about; a short pass is not worth handing out.
        on_device: as `make`, computed by torch on the `device` that it also gets; None: there is no such version.
    """

    make: Callable[..., Work]
    arrays: Mapping[str, np.ndarray]
    count: int
    chunk: int
    group: int
    together: Callable[[Iterable[Arrays]], Arrays]
    products: float
    on_device: Callable[..., Work] | None = None

    def groups(self) -> list[slice]:
        """The rows of each group."""
        return slices(self.count, self.chunk * self.group)


def quiet(rows: int) -> None:
    """Nobody looks at the progress."""


class Passes(Protocol):
    """Who makes passes."""

    @property
    def workers(self) -> int:
        """Threads of this machine, for what is not handed out."""

    def each(self, one: Pass, advance: Advance = quiet) -> Iterator[Arrays]:
        """What each group gives, in order; `advance` is called with the number of rows done."""

    def run(self, one: Pass, advance: Advance = quiet) -> Arrays:
        """What the whole pass gives."""
        return one.together(self.each(one, advance))


@dataclass(frozen=True)
class Here(Passes):
    """Passes by threads of this machine.

    Attributes:
        workers: how many threads; the result does not depend on it.
    """

    workers: int = 1

    def each(self, one: Pass, advance: Advance = quiet) -> Iterator[Arrays]:
        """See Passes."""
        with one_blas_thread():
            found = _noted(one, threads(one.make(**one.arrays), slices(one.count, one.chunk), self.workers), advance)
            for _ in one.groups():
                yield one.together(islice(found, one.group))


HERE = Here()


def joined(parts: Iterable[Arrays]) -> Arrays:
    """The rows of all parts, one after the other."""
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def added(parts: Iterable[Arrays]) -> Arrays:
    """Sums over all parts, in float64."""
    rest = iter(parts)
    sums = tuple(np.array(array, np.float64) for array in next(rest))
    for part in rest:
        for total, array in zip(sums, part, strict=True):
            total += array
    return sums


def _noted(one: Pass, found: Iterator[Arrays], advance: Advance) -> Iterator[Arrays]:
    for chunk, part in zip(slices(one.count, one.chunk), found, strict=True):
        advance(chunk.stop - chunk.start)  # who takes the last part may ask for no more
        yield part
