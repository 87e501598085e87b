"""Which image of a source is in which split, and what is to be said about groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import progress
from pipeline.data import groups
from pipeline.data.sources import Source
from pipeline.data.splits import Assignment, assign
from pipeline.errors import PipelineError
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


def plan_splits(source: Source, settings: Settings) -> dict[str, Assignment]:
    """Keep the source's splits, and draw the missing ones, in whole groups where images have groups."""
    chosen = settings.prepare
    return assign(
        {name: part.labels for name, part in source.parts.items()},
        source.classes,
        chosen.val_fraction,
        chosen.test_fraction,
        chosen.train_limit,
        settings.seed,
        groups.as_numbers({name: part.groups for name, part in source.parts.items()}),
    )


def about_groups(source: Source, plan: Mapping[str, Assignment], settings: Settings) -> Grouped:
    """Count the groups; where there are none, say so if file names look as if there were some.

    Raises:
        PipelineError: splits that the data set brings share a group.
    """
    key = f"datasets.{settings.dataset}"
    if any(part.groups is None for part in source.parts.values()):
        note = _suggestion(source, plan, key)
        if note is not None:
            progress.say(note)
        return Grouped(None, () if note is None else (note,))
    found = {
        split: [(source.parts[given.part].groups or ())[index] for index in given.indices]
        for split, given in plan.items()
    }
    if both := groups.shared(found):
        raise PipelineError(
            f"{key}: the splits of this data set share {len(both)} groups, such as {both[0]!r}, so errors on test "
            "would be too low; take its splits away, so that new ones are drawn by group, or give no groups"
        )
    counts = {split: len(set(names)) for split, names in found.items()}
    shares = ", ".join(f"{count:,} in {split}" for split, count in counts.items())
    return Grouped(
        counts, (f"All images of a group are in one split: no split shares a group with another ({shares}).",)
    )


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
