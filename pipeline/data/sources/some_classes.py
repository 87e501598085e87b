"""Some of a data set's classes, as a data set of its own, for instance those that another run has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.data.sources.base import Batch, Part, Source
from pipeline.settings.sentences import check_names


def keep_classes(source: Source, wanted: Sequence[str], where: str) -> Source:
    """The same source without the images of all other classes; classes stay in their order.

    Args:
        source: opened.
        wanted: names of classes.
        where: the file of settings, for messages.

    Raises:
        PipelineError: one of them is no class of the source.
    """
    check_names(wanted, source.classes, where, "prepare.classes", "a class of this data set")
    kept = [label for label, name in enumerate(source.classes) if name in wanted]
    note = f"Only {len(kept)} of the {len(source.classes)} classes are used, as `prepare.classes` in params.yaml says."
    return replace(
        source,
        classes=[source.classes[label] for label in kept],
        parts={name: _some(part, kept) for name, part in source.parts.items()},
        notes=(*source.notes, note),
    )


def _some(part: Part, kept: list[int]) -> Part:
    rows = np.flatnonzero(np.isin(part.labels, kept))
    groups = None if part.groups is None else [part.groups[row] for row in rows.tolist()]

    def read(indices: np.ndarray) -> Batch:
        return part.read(rows[indices])

    labels = np.searchsorted(kept, part.labels[rows]).astype(np.int64)
    return Part(labels, [part.ids[row] for row in rows.tolist()], read, groups)
