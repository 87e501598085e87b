"""Which image of a source is in which split, and what is to be said about groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.data import groups
from pipeline.data.sources import Source
from pipeline.data.splits import Assignment, assign
from pipeline.settings import Settings


@dataclass(frozen=True)
class Grouped:
    """Groups of images.

    Attributes:
        counts: how many groups each split has; None where images have none.
        notes: what the report says about it.
    """

    counts: dict[str, int] | None
    notes: tuple[str, ...]


def plan_splits(source: Source, settings: Settings) -> tuple[dict[str, Assignment], Grouped]:
    """Keep the source's splits, and draw the missing ones; no group is in two splits, where images have groups.

    What is drawn is drawn in whole groups. Where splits that the data set brings share a group, its images are left out
    of train (or val), never of test. Where there are no groups but file names look like some, a note says so.
    """
    chosen = settings.prepare
    plan = assign(
        {name: part.labels for name, part in source.parts.items()},
        source.classes,
        chosen.val_fraction,
        chosen.test_fraction,
        chosen.train_limit,
        settings.seed,
        groups.as_numbers({name: part.groups for name, part in source.parts.items()}),
    )
    if any(part.groups is None for part in source.parts.values()):
        note = _suggestion(source, plan, f"datasets.{settings.dataset}")
        return plan, Grouped(None, () if note is None else (note,))
    return _without_shared(source, plan)


def _without_shared(source: Source, plan: Mapping[str, Assignment]) -> tuple[dict[str, Assignment], Grouped]:
    """The plan without images of train and val whose group is in test, or of train whose group is in val."""
    kept: dict[str, Assignment] = {}
    counts: dict[str, int] = {}
    notes: list[str] = []
    taken: set[str] = set()
    for split in ("test", "val", "train"):
        part, indices = source.parts[plan[split].part], plan[split].indices
        names = [(part.groups or ())[index] for index in indices]
        stays = np.array([name not in taken for name in names], bool)
        if not stays.all():
            notes.append(
                f"{len(stays) - int(stays.sum()):,} images that the data set gives to {split} were left out, since "
                f"images of the same group are in test or val (such as {names[int(stays.argmin())]!r})."
            )
        kept[split] = Assignment(plan[split].part, indices[stays])
        own = {name for name, stay in zip(names, stays, strict=True) if stay}
        counts[split] = len(own)
        taken |= own
    shares = ", ".join(f"{counts[split]:,} in {split}" for split in plan)
    notes.append(f"All images of a group are in one split: no split shares a group with another ({shares}).")
    return {split: kept[split] for split in plan}, Grouped({split: counts[split] for split in plan}, tuple(notes))


def _suggestion(source: Source, plan: Mapping[str, Assignment], key: str) -> str | None:
    ids = [name for part in source.parts.values() for name in part.ids]
    names = groups.suggested(ids, len(source.classes))
    by_split = {
        split: [names[name] for index in given.indices if (name := source.parts[given.part].ids[index]) in names]
        for split, given in plan.items()
    }
    both = groups.shared(by_split)
    if not both:
        return None
    example = next(name for name, group in names.items() if group == both[0])
    return (
        f"{key}: file names such as {example} look as if several images were of one group ({both[0]}), and "
        f"{len(both):,} such groups lie in more than one split. If images of a group are more alike than others, "
        f"errors on test are too low: set `{key}.groups: '{groups.BY_LAST_NUMBER}'`, or a pattern of your own."
    )
