"""A table that names images and what they show: CSV or TSV, as people keep it and competitions ship it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import progress
from pipeline.data.classes import called, numbered
from pipeline.data.download import fetch_and_unpack
from pipeline.data.folders.lookup import Images
from pipeline.data.folders.names import SPLITS, one_form, split_of
from pipeline.data.groups import groups_of
from pipeline.data.sources.base import Part, Source
from pipeline.data.sources.encoded import Reading, part_of_encoded
from pipeline.data.tables import GROUP, IMAGE, LABEL, SPLIT, Table
from pipeline.errors import PipelineError
from pipeline.files import expanded, printable
from pipeline.settings import Manifest


@dataclass(frozen=True)
class Row:
    """One image: its file, what it shows, the split it is given to ("all": none), and its group."""

    file: Path
    label: str
    split: str
    group: str | None


def open_manifest(settings: Manifest, root: Path, reading: Reading) -> Source:
    """Read the tables below root/path and find the images that they name; nothing is decoded yet.

    Raises:
        PipelineError: a table can't be read or its columns are unclear; an image has two labels; some images are
            given to a split and some are not, or none to train; there is one class only.
    """
    folder = root / expanded(settings.path)
    if not folder.is_dir():
        fetch_and_unpack(settings, root, folder)
    found = _Found(Images.below(folder))
    for split, name in settings.tables.items():
        found.add(Table.read(folder / name), split, settings, f"{reading.key}.columns")
    rows = list(found.rows.values())
    where = " and ".join(str(folder / name) for name in settings.tables.values())
    classes, labels = numbered([row.label for row in rows], where)
    parts = _parts(rows, labels, folder, settings, reading)
    notes = found.notes(where)
    for note in notes:
        progress.say(note)
    return Source(
        called(classes, settings.class_names),
        parts,
        f"{settings.path}: photographs that {' and '.join(settings.tables.values())} names.",
        notes=notes,
        left_out=found.left_out(),
    )


class _Found:
    """What the tables say, collected row by row."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.rows: dict[Path, Row] = {}
        self._without_label: list[Path] = []
        self._repeated = 0
        self._group_columns: Counter[str] = Counter()

    def add(self, table: Table, split: str, settings: Manifest, key: str) -> None:
        """Take in a table, whose images are all of `split`, or of the one that each row says ("all")."""
        chosen = settings.columns
        names = table.need(chosen.image, IMAGE, "image", key)
        labels = self._labels(table, split, settings, key)
        splits = self._splits(table, split, settings, key)
        groups = table.need(chosen.group, frozenset(), "group", key) if chosen.group else [None] * len(names)
        if chosen.group is None and settings.groups is None:
            self._group_columns.update(name for name in table.columns if _is_group(name))
        for name, label, part, group in zip(names, labels, splits, groups, strict=True):
            self._add(Row(self._images.find(name, table.file), label, part, group), table, name)

    def _labels(self, table: Table, split: str, settings: Manifest, key: str) -> Sequence[str]:
        """Of a test without a column of labels, empty ones."""
        chosen = settings.columns.label
        if split == "test" and chosen not in table.columns and table.find(None, LABEL, "label", key) is None:
            return [""] * len(next(iter(table.columns.values())))
        return table.need(chosen, LABEL, "label", key)

    def _splits(self, table: Table, split: str, settings: Manifest, key: str) -> Sequence[str]:
        name = table.find(settings.columns.split, SPLIT, "split", key) if split == "all" else None
        if name is None:
            return [split] * len(next(iter(table.columns.values())))
        meaning = {value: _meaning(value, settings, table, name, key) for value in set(table.columns[name])}
        return [meaning[value] for value in table.columns[name]]

    def _add(self, row: Row, table: Table, name: str) -> None:
        if not row.label:
            self._without_label.append(row.file)
            return
        other = self.rows.setdefault(row.file, row)
        if other is row:
            return
        if (one_form(other.label), other.split, other.group) != (one_form(row.label), row.split, row.group):
            raise PipelineError(
                f"{table.file}: {name} stands twice, as {other.label!r} in {other.split} and as {row.label!r} in "
                f"{row.split}; each image has one label and one split, so remove one of the rows"
            )
        self._repeated += 1

    def left_out(self) -> dict[str, int]:
        """What took no part, by what it is."""
        named = {*self.rows, *self._without_label}
        more = {
            "images that no table names": sum(1 for file in self._images.files if file not in named),
            "rows without a label": len(self._without_label),
            "rows that repeat another": self._repeated,
        }
        return self._images.left_out.as_dict() | {what: count for what, count in more.items() if count}

    def notes(self, where: str) -> tuple[str, ...]:
        """What the report should say."""
        notes = []
        if self._without_label:
            notes.append(
                f"{where}: {len(self._without_label):,} images without a label are left aside, such as "
                f"{printable(self._without_label[0])}; after the run, `python -m pipeline predict` says what the best "
                "method takes them for."
            )
        if self._group_columns:
            column = next(iter(self._group_columns))
            notes.append(
                f"{where}: has a column {column!r}; if images of one {column} are more alike than others, set "
                "`columns.group` to it, so that no split shares one with another and the errors are not too low."
            )
        return tuple(notes)


def _is_group(name: str) -> bool:
    return "".join(letter for letter in name.casefold() if letter.isalpha()) in GROUP


def _meaning(value: str, settings: Manifest, table: Table, column: str, key: str) -> str:
    """The split that a cell of the column of splits means."""
    given = next((split for split in SPLITS if value in settings.split_names.get(split, [])), None)
    if (split := given or split_of(value)) is None:
        raise PipelineError(
            f"{table.file}: the column {column!r} holds {value!r}, which is no split; write train, val or test, or say "
            f"in `{key.removesuffix('.columns')}.split_names` which split it is"
        )
    return split


def _parts(
    rows: Sequence[Row], labels: np.ndarray, folder: Path, settings: Manifest, reading: Reading
) -> dict[str, Part]:
    splits = {row.split for row in rows}
    if splits != {"all"} and ("all" in splits or "train" not in splits):
        raise PipelineError(
            f"{folder}: its tables give images to {' and '.join(sorted(splits))}; give some to train, or name one "
            f"table as `all` in `{reading.key}.tables`, from which val and test are drawn"
        )
    by_split = {split: [at for at, row in enumerate(rows) if row.split == split] for split in ("all", *SPLITS)}
    return {
        split: _part([rows[at] for at in places], labels[places], folder, settings, reading)
        for split, places in by_split.items()
        if places
    }


def _part(rows: Sequence[Row], labels: np.ndarray, folder: Path, settings: Manifest, reading: Reading) -> Part:
    files = [row.file for row in rows]
    ids = [_id(file, folder) for file in files]
    if settings.columns.group is None:
        groups = groups_of(ids, settings.groups, f"{reading.key}.groups")
    else:
        groups = [str(row.group) for row in rows]
    return part_of_encoded(labels, ids, lambda indices: [files[index] for index in indices], reading, groups)


def _id(file: Path, folder: Path) -> str:
    return printable((file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix())
