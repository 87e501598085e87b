"""What every source gives: classes, and parts whose images can be read in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.scaling import scale_batch


@dataclass(frozen=True)
class Batch:
    """Images read together.

    Attributes:
        images: uint8 (k, H, W, 3), RGB: the readable ones, in the order asked for.
        bad: position in the request → why that image could not be read.
        mended: position in the request → what was wrong with the file of an image that was read all the same.
    """

    images: np.ndarray
    bad: dict[int, str] = field(default_factory=dict)
    mended: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Images that belong together: a given split, or everything.

    Attributes:
        labels: int64 (N,).
        ids: N names, unique within the source.
        read: indices (k,) → Batch.
        groups: N names; images of one group (a person, a patient, a video) stay in one split. None: each by itself.
    """

    labels: np.ndarray
    ids: Sequence[str]
    read: Callable[[np.ndarray], Batch]
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class Source:
    """An opened data set.

    Attributes:
        classes: names, at least two; a label is an index into them.
        parts: "train", "val", "test" as far as they are given, or "all" alone.
        description: one sentence for the report.
        synthetic: generated, not photographed.
        notes: what the report should say about this source.
        left_out: how many files were passed over, by what they are.
    """

    classes: list[str]
    parts: dict[str, Part]
    description: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


def part_of_array(images: np.ndarray, labels: np.ndarray, prefix: str, image_size: int | None) -> Part:
    """A Part over images in memory.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
        labels: integers (N,).
        prefix: ids are prefix/000000, prefix/000001, …
        image_size: scale to this side (None: keep).
    """

    def read(indices: np.ndarray) -> Batch:
        chosen = images[indices]
        if chosen.ndim == 3:
            chosen = np.repeat(chosen[..., None], 3, axis=3)
        return Batch(scale_batch(chosen, image_size))

    return Part(labels.astype(np.int64), [f"{prefix}/{index:06d}" for index in range(len(labels))], read)
