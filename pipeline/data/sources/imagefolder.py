"""A person's photographs: a folder per class, optionally below train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.data.decode import Unreadable, extensions, read_image, threads_for
from pipeline.data.download import ensure, extract
from pipeline.data.sources.base import Batch, Part, Source
from pipeline.errors import PipelineError
from pipeline.files import printable
from pipeline.parallel import threads
from pipeline.settings import ImageFolder, Prepare

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
#: Files in which ImageNet and Tiny ImageNet say what a folder's WordNet number means: "n01440764 tench, …".
NAME_FILES = ("LOC_synset_mapping.txt", "words.txt")

Listing = list[tuple[str, Path]]  # (class folder's name, file)


def open_imagefolder(settings: ImageFolder, root: Path, prepare: Prepare, workers: int) -> Source:
    """List all images below root/path; nothing is decoded yet.

    Raises:
        PipelineError: the folder is missing or empty, has one class only, or a class folder holds no image.
    """
    folder = root / settings.path
    if not folder.is_dir():
        _obtain(settings, root, folder)
    listings = _listings(folder)
    folders = sorted({name for listing in listings.values() for name, _ in listing})
    if len(folders) < 2:
        found = f"one class, {folders[0]!r}" if folders else "no class folder with images"
        raise PipelineError(f"{folder}: holds {found}; put the images of each class (at least two) in a folder each")
    names = _class_names(folder, settings, folders)
    label_of = {name: label for label, name in enumerate(folders)}

    def part(listing: Listing) -> Part:
        labels = np.array([label_of[name] for name, _ in listing], np.int64)
        files = [file for _, file in listing]

        def read(indices: np.ndarray) -> Batch:
            return _read([files[index] for index in indices], settings.image_size, prepare, workers, folder)

        return Part(labels, [_id(file, folder) for file in files], read)

    parts = {split: part(listing) for split, listing in listings.items()}
    return Source(names, parts, f"{settings.path}: photographs in {len(names)} class folders.")


def _obtain(settings: ImageFolder, root: Path, folder: Path) -> None:
    if settings.url is None:
        raise PipelineError(
            f"{folder}: there is no such folder; make it and put a folder of images per class in it, "
            "or set `prepare.data_root` to where it lies"
        )
    for archive in settings.checksums:
        if not (root / archive).is_file():
            ensure(settings, root, [archive])
        extract(root / archive, root)
    if not folder.is_dir():
        raise PipelineError(f"{root}: the unpacked archive holds no folder {settings.path}")


def _listings(folder: Path) -> dict[str, Listing]:
    subfolders = _subfolders(folder)
    known = [path for path in subfolders if path.name.casefold() in SPLIT_FOLDERS]
    # A class may be called "train"; only where all folders are splits and hold folders are they taken as such.
    if not known or len(known) < len(subfolders) or not all(_subfolders(path) for path in known):
        return {"all": _list_classes(folder)}
    below: dict[str, Path] = {}
    for path in known:
        split = SPLIT_FOLDERS[path.name.casefold()]
        if split in below:
            raise PipelineError(f"{path} and {below[split]} would both be the split {split}; remove one")
        below[split] = path
    if "train" not in below:
        raise PipelineError(f"{folder}: has {' and '.join(sorted(below))} but no train; add train/ with class folders")
    annotations = below.get("val", folder) / "val_annotations.txt"
    if annotations.is_file():  # Tiny ImageNet: val's labels stand in a file, test's were never published
        return {"train": _list_classes(below["train"]), "val": _list_annotated(annotations)}
    return {split: _list_classes(path) for split, path in below.items()}


def _list_classes(folder: Path) -> Listing:
    listing: Listing = []
    classes = [path for path in _subfolders(folder) if not folder.resolve().is_relative_to(path.resolve())]
    # Links are followed, but not upwards and not into another class: its images would get two labels.
    closed = {folder.resolve(), *folder.resolve().parents, *(path.resolve() for path in classes)}
    for class_folder in classes:
        files = sorted(images_below(class_folder, set(closed)))
        if not files:
            raise PipelineError(f"{class_folder}: holds no image; put some in it, or remove the folder")
        listing += [(class_folder.name, file) for file in files]
    return listing


def _list_annotated(annotations: Path) -> Listing:
    rows = [line.split("\t") for line in annotations.read_text(encoding="utf-8").splitlines() if line]
    return sorted((row[1], annotations.parent / "images" / row[0]) for row in rows)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error


def images_below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """All image files below a folder; links are followed, but no folder is entered twice (link loops)."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield from images_below(path, seen)
        elif path.suffix.lower() in extensions():
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _class_names(folder: Path, settings: ImageFolder, folders: list[str]) -> list[str]:
    names = dict(settings.class_names)
    for file in (folder / name for name in NAME_FILES):
        if not names and file.is_file():
            lines = [line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines()]
            names = {line[0]: line[1].split(",")[0] for line in lines if len(line) == 2}
    readable = [printable(names.get(name, name)) for name in folders]
    # Two WordNet numbers may share a word ("crane"): then the number tells them apart.
    return [
        f"{name} ({printable(key)})" if readable.count(name) > 1 else name
        for name, key in zip(readable, folders, strict=True)
    ]


def _read(files: list[Path], size: int | None, prepare: Prepare, workers: int, folder: Path) -> Batch:
    def read(file: Path) -> np.ndarray | str:
        try:
            return read_image(file, size, prepare.min_side, prepare.max_megapixels)
        except Unreadable as reason:
            return str(reason)

    good: list[np.ndarray] = []
    bad: dict[int, str] = {}
    for position, result in enumerate(threads(read, files, threads_for(files, workers))):
        if isinstance(result, str):
            bad[position] = result
            continue
        if good and result.shape != good[0].shape:
            raise PipelineError(
                f"{_id(files[position], folder)} is {result.shape[1]}×{result.shape[0]} pixels, others are "
                f"{good[0].shape[1]}×{good[0].shape[0]}; set the data set's `image_size` in params.yaml"
            )
        good.append(result)
    return Batch(np.stack(good) if good else np.empty((0, 0, 0, 3), np.uint8), bad)


def _id(file: Path, folder: Path) -> str:
    return printable(file.relative_to(folder).as_posix())
