"""Tables of images' bytes and labels, Parquet, as the Hugging Face hub stores data sets; read by pyarrow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import progress
from pipeline.data.classes import called, check_number, numbered
from pipeline.data.decode import Unreadable
from pipeline.data.download import ensure_shards
from pipeline.data.folders.names import split_of_shard
from pipeline.data.groups import groups_of
from pipeline.data.hub import ensure_hub
from pipeline.data.sources.base import Part, Source
from pipeline.data.sources.encoded import Raw, Reading, part_of_encoded
from pipeline.errors import PipelineError
from pipeline.files import expanded
from pipeline.settings import Parquet


def open_parquet(settings: Parquet, root: Path, reading: Reading) -> Source:
    """Open all *.parquet below root/path; images are read when they are needed.

    Splits are in the names of files (train-00000-of-00002.parquet) or of their folders (train/0000.parquet).

    Raises:
        PipelineError: pyarrow is not there; the hub has no such files; a file is damaged; it is not clear which columns
            hold images and labels; there is no train among the splits; there is one class only.
    """
    folder = root / expanded(settings.path)
    if settings.hub is not None:
        ensure_hub(settings.hub, folder, f"{reading.key}.hub")
    shards = [Shard.open(path, folder) for path in ensure_shards(settings, folder, "*.parquet")]
    columns = _Columns.find(shards[0], settings, f"{reading.key}.columns")
    by_split = _by_split(shards, folder)
    values = {split: [shard.column(columns.label) for shard in found] for split, found in by_split.items()}
    classes, known = _classes(values, columns, shards[0].path)
    left_aside = 0
    parts = {}
    for split, found in by_split.items():
        labels = np.concatenate([[known.get(value, -1) for value in column] for column in values[split]])
        rows = np.flatnonzero(labels >= 0)
        left_aside += len(labels) - len(rows)
        if len(rows):
            parts[split] = _part(found, rows, labels[rows], columns, settings, reading)
    if not {"all", "train"} & parts.keys():
        raise PipelineError(f"{folder}: has labelled images of {' and '.join(parts) or 'no split'}, but none of train")
    notes = (f"{settings.path}: {left_aside:,} images without a label are left aside.",) if left_aside else ()
    for note in notes:
        progress.say(note)
    return Source(called(classes, settings.class_names), parts, f"{settings.path}: tables of Parquet.", notes=notes)


@dataclass
class Shard:
    """One file.

    Attributes:
        path, name: where it is, and its name below the data set's folder.
        file: pyarrow's.
        starts: the first row of each row group, and the number of all rows.
    """

    path: Path
    name: str
    file: Any
    starts: np.ndarray
    _kept: tuple[int, str, list[Any]] | None = field(default=None, repr=False)

    @staticmethod
    def open(path: Path, folder: Path) -> Shard:
        """Read what stands at the end of a file: its columns, and where its rows lie."""
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise PipelineError(
                f"{path}: to read it install a package: pip install 'before-and-after-2012[parquet]'"
            ) from error
        try:
            file = pq.ParquetFile(path)
            counts = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        except Exception as error:  # pyarrow has its own hierarchy
            raise PipelineError(f"{path}: cannot be read as Parquet ({error}); fetch it again") from error
        return Shard(path, path.relative_to(folder).as_posix(), file, np.cumsum([0, *counts]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def column(self, name: str) -> list[Any]:
        """All values of a column."""
        return self._read(lambda: self.file.read(columns=[name]))

    def value(self, row: int, name: str) -> Any:
        """One value of a column; the row group that it lies in is kept for the next one."""
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        if self._kept is None or self._kept[:2] != (group, name):
            self._kept = None  # before the next one is read: two may be large
            self._kept = (group, name, self._read(lambda: self.file.read_row_group(group, columns=[name])))
        return self._kept[2][row - int(self.starts[group])]

    def _read(self, read: Any) -> list[Any]:
        try:
            values: list[Any] = read().column(0).to_pylist()
        except Exception as error:
            raise PipelineError(f"{self.path}: cannot be read ({error}); fetch it again") from error
        return values


@dataclass(frozen=True)
class _Columns:
    """Which columns hold what; `names` of the classes where the file describes them, by label."""

    image: str
    label: str
    group: str | None
    names: list[str] | None

    @staticmethod
    def find(shard: Shard, settings: Parquet, key: str) -> _Columns:
        """By the settings, or by what the hub's library wrote about the columns."""
        schema = shard.file.schema_arrow
        described = _description(schema.metadata or {})
        types = {name: str(feature.get("_type")) for name, feature in described.items() if isinstance(feature, dict)}
        bytes_ = {"Image": [entry.name for entry in schema if _holds_images(entry.type)]}
        images = [name for name, kind in types.items() if kind == "Image"] or bytes_["Image"]
        labels = [name for name, kind in types.items() if kind == "ClassLabel"]
        labels = labels or [name for name in schema.names if name in ("label", "labels", "fine_label", "class")]
        chosen = settings.columns
        image = _one(shard, chosen.image, images, schema.names, f"{key}.image")
        label = _one(shard, chosen.label, labels, schema.names, f"{key}.label")
        group = None if chosen.group is None else _one(shard, chosen.group, [], schema.names, f"{key}.group")
        return _Columns(image, label, group, described.get(label, {}).get("names"))


def _description(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What the library `datasets` wrote about the columns; {} where another tool made the file."""
    try:
        found: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return found


def _holds_images(kind: Any) -> bool:
    """Bytes, or a structure with bytes and a path."""
    import pyarrow as pa

    binary = (pa.types.is_binary, pa.types.is_large_binary)
    if pa.types.is_struct(kind):
        return any(entry.name == "bytes" and any(test(entry.type) for test in binary) for entry in kind)
    return any(test(kind) for test in binary)


def _one(shard: Shard, wanted: str | None, found: Sequence[str], columns: Sequence[str], key: str) -> str:
    if wanted is not None and wanted in columns:
        return wanted
    if wanted is None and len(found) == 1:
        return found[0]
    could = f"could be {' or '.join(found)}" if found else "is not described in the file"
    reason = f"has no column {wanted!r}" if wanted is not None else f"which column it is {could}"
    raise PipelineError(f"{shard.path}: {reason}; set `{key}` to one of {', '.join(columns)}")


def _by_split(shards: Sequence[Shard], folder: Path) -> dict[str, list[Shard]]:
    found: dict[str, list[Shard]] = {}
    for shard in shards:
        found.setdefault(split_of_shard(shard.path.relative_to(folder)) or "all", []).append(shard)
    if "all" in found and len(found) > 1:
        raise PipelineError(
            f"{found['all'][0].path}: its name and its folder spell no split, but others do "
            f"({', '.join(found)}); name it after train, val or test, or take it away"
        )
    return found


def _classes(
    values: Mapping[str, Sequence[list[Any]]], columns: _Columns, path: Path
) -> tuple[list[str], dict[Any, int]]:
    """The classes in order, and the number of the class of every label; None and -1 have none."""
    used = {value for found in values.values() for column in found for value in column if value not in (None, -1)}
    if columns.names is None:
        listed = list(used)
        classes, labels = numbered([str(value) for value in listed], str(path))
        return classes, dict(zip(listed, labels.tolist(), strict=True))
    wrong = [value for value in used if not (isinstance(value, int) and 0 <= value < len(columns.names))]
    if wrong:
        raise PipelineError(f"{path}: a label is {wrong[0]!r}, but {len(columns.names)} classes are described")
    # Classes that have no image, such as those of another configuration, are left out.
    kept = sorted(used)
    check_number([columns.names[value] for value in kept], str(path))
    return [columns.names[value] for value in kept], {value: number for number, value in enumerate(kept)}


def _part(
    shards: Sequence[Shard],
    rows: np.ndarray,
    labels: np.ndarray,
    columns: _Columns,
    settings: Parquet,
    reading: Reading,
) -> Part:
    starts = np.cumsum([0, *(len(shard) for shard in shards)])

    def place(index: int) -> tuple[Shard, int]:
        row = int(rows[index])
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return shards[number], row - int(starts[number])

    def raw(index: int) -> Raw:
        shard, row = place(index)
        return _bytes(shard.value(row, columns.image))

    ids = [f"{shard.name}/{row:06d}" for shard, row in map(place, range(len(rows)))]
    if columns.group is None:
        groups = groups_of(ids, settings.groups, f"{reading.key}.groups")
    else:
        everything = [str(value) for shard in shards for value in shard.column(columns.group)]
        groups = [everything[row] for row in rows]
    return part_of_encoded(labels, ids, lambda indices: [raw(int(index)) for index in indices], reading, groups)


def _bytes(value: Any) -> Raw:
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else Unreadable("the table holds no bytes of it")
