"""Images as files' bytes, wherever these lie: in files, in a table of Parquet, in a tar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.decode import SMALL_FILE, Decoded, Unreadable, decoded, read_file, threads_for
from pipeline.data.sources.base import Batch, Part
from pipeline.errors import PipelineError
from pipeline.parallel import threads
from pipeline.settings import Prepare, Settings

#: One image before it is decoded: where its file is, its file's bytes, or why there are none.
Raw = Path | bytes | Unreadable
#: Indices (k,) of images → k images before they are decoded.
Fetch = Callable[[np.ndarray], Sequence[Raw]]


@dataclass(frozen=True)
class Reading:
    """How images are decoded.

    Attributes:
        size: the shorter side is scaled to this; None keeps images as they are.
        prepare: what is refused.
        workers: threads.
        key: where the data set stands in params.yaml, for sentences.
    """

    size: int | None
    prepare: Prepare
    workers: int
    key: str

    @staticmethod
    def of(settings: Settings) -> Reading:
        """For the chosen data set."""
        key = f"datasets.{settings.dataset}"
        return Reading(settings.source.image_size, settings.prepare, settings.compute.worker_count, key)

    def decode(self, raw: Raw) -> Decoded | str:
        """One image, or why it can't be read."""
        limits = self.prepare.min_side, self.prepare.max_megapixels
        try:
            if isinstance(raw, Unreadable):
                raise raw
            data = read_file(raw) if isinstance(raw, Path) else raw
            return decoded(data, None if self.size is None else (self.size, self.size), *limits)
        except Unreadable as reason:
            return str(reason)


def part_of_encoded(
    labels: np.ndarray, ids: Sequence[str], fetch: Fetch, reading: Reading, groups: Sequence[str] | None = None
) -> Part:
    """A Part over images that must be decoded.

    Args:
        labels: integers (N,).
        ids: N names, unique within the source.
        fetch: gives the files' bytes; called from one thread.
        reading: how they are decoded.
        groups: N names of groups, or None.
    """

    def read(indices: np.ndarray) -> Batch:
        return _decoded(fetch(indices), [ids[index] for index in indices], reading)

    return Part(labels.astype(np.int64), ids, read, groups)


def _decoded(found: Sequence[Raw], ids: Sequence[str], reading: Reading) -> Batch:
    good: list[np.ndarray] = []
    bad: dict[int, str] = {}
    mended: dict[int, str] = {}
    for position, result in enumerate(threads(reading.decode, found, _threads(found, reading.workers))):
        if isinstance(result, str):
            bad[position] = result
            continue
        height, width = result.pixels.shape[:2]
        if good and result.pixels.shape != good[0].shape:
            raise PipelineError(
                f"{ids[position]} is {width}×{height} pixels, others are {good[0].shape[1]}×{good[0].shape[0]}; set "
                f"`{reading.key}.image_size` in params.yaml"
            )
        if result.mended is not None:
            mended[position] = result.mended
        good.append(result.pixels)
    return Batch(np.stack(good) if good else np.empty((0, 0, 0, 3), np.uint8), bad, mended)


def _threads(found: Sequence[Raw], workers: int) -> int:
    files = [raw for raw in found if isinstance(raw, Path)]
    if files:
        return threads_for(files, workers)
    lengths = [len(raw) for raw in found if isinstance(raw, bytes)]
    return 1 if lengths and sum(lengths) / len(lengths) < SMALL_FILE else workers
