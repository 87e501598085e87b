"""A person's photographs: a folder per class, optionally below train/, val/ and test/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import progress
from pipeline.data.classes import called, in_order
from pipeline.data.download import fetch_and_unpack
from pipeline.data.folders.arrangement import Arrangement, Aside, arrange
from pipeline.data.folders.classes import by_class
from pipeline.data.folders.contents import Contents, LeftOut, entries, images_below, is_folder, is_image, subfolders
from pipeline.data.folders.label_file import read_labels
from pipeline.data.groups import groups_of
from pipeline.data.sources.base import Part, Source
from pipeline.data.sources.encoded import Reading, part_of_encoded
from pipeline.errors import PipelineError
from pipeline.files import expanded, printable
from pipeline.settings import ImageFolder

#: Files in which ImageNet and Tiny ImageNet say what a folder's WordNet number means: "n01440764 tench, …".
NAME_FILES = ("LOC_synset_mapping.txt", "words.txt")

Listing = list[tuple[str, Path]]  # (class, file)


def open_imagefolder(settings: ImageFolder, root: Path, reading: Reading) -> Source:
    """List all images below root/path; nothing is decoded yet.

    Raises:
        PipelineError: the folder is missing or empty, can be read in two ways, has one class only, or a class without
            an image to train on.
    """
    folder = root / expanded(settings.path)
    if not folder.is_dir():
        fetch_and_unpack(settings, root, folder)
    found = _listings(folder, settings, reading.key)
    classes = in_order({name for listing in found.parts.values() for name, _ in listing})
    if len(classes) < 2:
        there = f"one class, {classes[0]!r}" if classes else "no class folder with images"
        raise PipelineError(f"{folder}: holds {there}; put the images of each class (at least two) in a folder each")
    label_of = {name: label for label, name in enumerate(classes)}

    def part(listing: Listing) -> Part:
        labels = np.array([label_of[name] for name, _ in listing], np.int64)
        files = [file for _, file in listing]
        ids = [_id(file, folder) for file in files]
        groups = groups_of(ids, settings.groups, f"{reading.key}.groups")
        return part_of_encoded(labels, ids, lambda indices: [files[index] for index in indices], reading, groups)

    names = _class_names(folder, settings, classes)
    notes = tuple(_without_labels(one) for one in found.aside)
    for note in notes:
        progress.say(note)
    return Source(
        names,
        {split: part(listing) for split, listing in found.parts.items()},
        f"{settings.path}: photographs in {len(names)} class folders.",
        notes=notes,
        left_out=found.left_out.as_dict(),
    )


def _without_labels(aside: Aside) -> str:
    return (
        f"{aside.folder}: {aside.images:,} images without labels are left aside, since they lie in no folder of a "
        f"class; after the run, `python -m pipeline predict {aside.folder}` says what the best method takes them for."
    )


@dataclass(frozen=True)
class Listings:
    """All images.

    Attributes:
        parts: of each split, or of "all", the images by class.
        aside: folders of images without labels.
        left_out: what is no image, or a system's.
    """

    parts: dict[str, Listing]
    aside: tuple[Aside, ...]
    left_out: LeftOut


def _listings(folder: Path, settings: ImageFolder, key: str) -> Listings:
    annotations = next((path for path in _annotations(folder) if path.is_file()), None)
    left_out = LeftOut()
    if annotations is not None:  # Tiny ImageNet: val's labels stand in a file, test's were never published
        parts = by_class({"train": _class_folders(folder / "train")})
        return Listings(
            {"train": _list_classes(parts["train"], folder, left_out), "val": _list_annotated(annotations)},
            (),
            left_out,
        )
    arrangement = arrange(folder, settings, key)
    for path in {folder, *arrangement.parts.values()}:
        entries(path, left_out)
    classes = by_class({part: _class_folders(path) for part, path in arrangement.parts.items()})
    listed = {}
    for part, path in arrangement.parts.items():
        left_out.beside += Contents.of(path).images
        listed[part] = _list_classes(classes[part], path, left_out, must_fill=part in ("all", "train"))
    for part, flat in arrangement.flat.items():
        found = entries(flat.folder, left_out)
        images = [Path(entry.path) for entry in found if not is_folder(entry) and is_image(entry)]
        labels = read_labels(flat.labels, images, in_order(classes["train"]))
        listed[part] = sorted(zip(labels, images, strict=True))
    return _labelled(Listings(listed, arrangement.aside, left_out), arrangement, settings, key)


def _annotations(folder: Path) -> list[Path]:
    return [folder / name / "val_annotations.txt" for name in ("val", "valid", "validation")]


def _labelled(found: Listings, arrangement: Arrangement, settings: ImageFolder, key: str) -> Listings:
    """Without a test whose folders are no classes of train: `test/images/`, `test/unknown/`.

    Raises:
        PipelineError: val is like that, and is not to be left aside.
    """
    known = {name for name, _ in found.parts.get("train", [])}
    parts, aside = dict(found.parts), found.aside
    for part, listing in found.parts.items():
        if part in ("all", "train") or known & {name for name, _ in listing}:
            continue
        if part == "val" and settings.unlabelled == "refuse":
            raise PipelineError(
                f"{arrangement.parts[part]}: none of its folders is called like a class of train, so nothing says "
                f"what its images show; give them the names that train's have, or set `{key}.unlabelled: aside`"
            )
        aside += (Aside(arrangement.parts[part], len(listing)),)
        del parts[part]
    return Listings(parts, aside, found.left_out)


def _class_folders(folder: Path) -> list[Path]:
    """Its folders, without links that lead upwards."""
    return [path for path in subfolders(folder) if not folder.resolve().is_relative_to(path.resolve())]


def _list_classes(classes: dict[str, list[Path]], folder: Path, left_out: LeftOut, must_fill: bool = True) -> Listing:
    listing: Listing = []
    # Links are followed, but not upwards and not into another class: its images would get two labels.
    folders = [path for paths in classes.values() for path in paths]
    closed = {folder.resolve(), *folder.resolve().parents, *(path.resolve() for path in folders)}
    for name, paths in classes.items():
        files = sorted(file for path in paths for file in images_below(path, closed - {path.resolve()}, left_out))
        if not files and must_fill:
            raise PipelineError(f"{paths[0]}: holds no image; put some in it, or remove the folder")
        listing += [(name, file) for file in files]
    return listing


def _list_annotated(annotations: Path) -> Listing:
    rows = [line.split("\t") for line in annotations.read_text(encoding="utf-8").splitlines() if line]
    return sorted((row[1], annotations.parent / "images" / row[0]) for row in rows)


def _class_names(folder: Path, settings: ImageFolder, folders: list[str]) -> list[str]:
    names = dict(settings.class_names)
    for file in (folder / name for name in NAME_FILES):
        if not names and file.is_file():
            lines = [line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines()]
            names = {line[0]: line[1].split(",")[0] for line in lines if len(line) == 2}
    return called(folders, names)


def _id(file: Path, folder: Path) -> str:
    return printable(str(file).removeprefix(f"{folder}/"))  # ten times as fast as relative_to; a million count
