"""Tars in the layout of WebDataset: members whose names begin alike are one example (0001.jpg, 0001.cls)."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.classes import called, numbered
from pipeline.data.decode import Unreadable, extensions
from pipeline.data.download import ensure_shards
from pipeline.data.folders.names import split_of_shard
from pipeline.data.groups import groups_of
from pipeline.data.sources.base import Part, Source
from pipeline.data.sources.encoded import Raw, Reading, part_of_encoded
from pipeline.errors import PipelineError
from pipeline.files import expanded, printable
from pipeline.settings import WebDataset


@dataclass(frozen=True)
class Member:
    """Where a file lies in a tar: from `offset` on, `size` bytes."""

    tar: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            Unreadable: the tar ends before.
        """
        try:
            with open(self.tar, "rb") as file:
                raw = os.pread(file.fileno(), self.size, self.offset)
        except OSError as error:
            raise Unreadable(f"can't be opened ({error.strerror})") from error
        if len(raw) < self.size:
            raise Unreadable("the tar ends before it")
        return raw


@dataclass(frozen=True)
class Example:
    """An image and what it shows; `name` within the data set."""

    name: str
    image: Member
    label: str


def open_webdataset(settings: WebDataset, root: Path, reading: Reading) -> Source:
    """List all *.tar below root/path; images are read from where they lie in the tars.

    Splits are in the names of tars (train-000000.tar) or of their folders.

    Raises:
        PipelineError: a tar is damaged or compressed; an example has no label; there is no train among the splits.
    """
    folder = root / expanded(settings.path)
    tars = ensure_shards(settings, folder, "*.tar*")
    by_split: dict[str, list[Example]] = {}
    others = 0
    for tar in tars:
        found, passed = _examples(tar, folder, settings, f"{reading.key}.label")
        by_split.setdefault(split_of_shard(tar.relative_to(folder)) or "all", []).extend(found)
        others += passed
    if ("all" in by_split) == bool(by_split.keys() - {"all"}) or not {"all", "train"} & by_split.keys():
        raise PipelineError(
            f"{folder}: the names of its tars spell {', '.join(sorted(by_split))}; name them all after train, val or "
            "test (train among them), or none"
        )
    everything = [example for examples in by_split.values() for example in examples]
    classes, labels = numbered([example.label for example in everything], str(folder))
    ends = np.cumsum([len(examples) for examples in by_split.values()])
    parts = {
        split: _part(examples, part_labels, settings, reading)
        for (split, examples), part_labels in zip(by_split.items(), np.split(labels, ends[:-1]), strict=True)
        if examples
    }
    return Source(
        called(classes, settings.class_names),
        parts,
        f"{settings.path}: tars of WebDataset.",
        left_out={"examples without an image": others} if others else {},
    )


def _part(examples: Sequence[Example], labels: np.ndarray, settings: WebDataset, reading: Reading) -> Part:
    ids = [example.name for example in examples]
    groups = groups_of(ids, settings.groups, f"{reading.key}.groups")
    return part_of_encoded(
        labels, ids, lambda indices: [_raw(examples[index].image) for index in indices], reading, groups
    )


def _raw(member: Member) -> Raw:
    try:
        return member.read()
    except Unreadable as reason:
        return reason


def _examples(path: Path, folder: Path, settings: WebDataset, key: str) -> tuple[list[Example], int]:
    """The examples of a tar with an image, in its order, and how many have none."""
    place = path.relative_to(folder).as_posix()
    found, others = [], 0
    for name, members in _members(path).items():
        endings = [ending for ending in members if f".{ending.rsplit('.', 1)[-1]}" in extensions()]
        if len(endings) > 1:
            raise PipelineError(f"{path}: {name} has the images {' and '.join(endings)}; an example has one")
        if not endings:
            others += 1
            continue
        label = _label(path, name, members, settings.label, key)
        found.append(Example(printable(f"{place}/{name}.{endings[0]}"), members[endings[0]], label))
    return found, others


def _members(path: Path) -> dict[str, dict[str, Member]]:
    """Name of each example → ending of each of its members → where it lies."""
    examples: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                folder, _, file = member.name.rpartition("/")
                stem, dot, ending = file.partition(".")
                if not (member.isfile() and stem and dot):
                    continue
                name = f"{folder}/{stem}".strip("/")
                if ending.lower() in examples.setdefault(name, {}):
                    raise PipelineError(f"{path}: holds {member.name} twice; write the tar anew")
                examples[name][ending.lower()] = Member(path, member.offset_data, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise PipelineError(
            f"{path}: cannot be read as a tar without compression ({error}); unpack it (gunzip), or fetch it again"
        ) from error
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror or error}); fetch it again") from error
    return examples


def _label(path: Path, name: str, members: Mapping[str, Member], wanted: str | None, key: str) -> str:
    ending, _, inner = (wanted or "cls").partition(":")
    if ending not in members:
        raise PipelineError(
            f"{path}: {name} has no .{ending}, which would say what it shows, but {', '.join(sorted(members))}; set "
            f"`{key}` to the right ending, such as txt or json:label"
        )
    try:
        text = members[ending].read().decode("utf-8").strip()
        value = json.loads(text)[inner] if inner else text
    except (Unreadable, ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"{path}: {name}.{ending} does not say what the image shows ({error!r}); correct it"
        ) from error
    if isinstance(value, (list, dict)) or str(value) == "":
        raise PipelineError(f"{path}: {name}.{ending} holds {value!r}, which is no name of a class; correct it")
    return str(value)
