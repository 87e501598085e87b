"""What lies in a folder: images, folders, what systems and tools left there, and other files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.decode import extensions
from pipeline.data.folders.names import is_system_file, is_system_folder
from pipeline.data.magic import looks_like_an_image
from pipeline.errors import PipelineError
from pipeline.files import printable


@dataclass
class LeftOut:
    """What was passed over, for the manifest.

    Attributes:
        system: files and folders of systems and tools.
        beside: images beside the folders of classes.
        others: files that are no images, by their kind.
    """

    system: int = 0
    beside: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, int]:
        """By what it was; nothing that is zero."""
        more = {"of systems and tools": self.system, "images beside the folders of classes": self.beside}
        return dict(self.others.most_common()) | {what: count for what, count in more.items() if count}


@dataclass(frozen=True)
class Contents:
    """One folder.

    Attributes:
        images: how many lie directly in it.
        classes: its folders that hold an image at any depth.
    """

    images: int
    classes: list[Path]

    @property
    def any_image(self) -> bool:
        """Whether there is one at any depth."""
        return bool(self.images or self.classes)

    @staticmethod
    def of(folder: Path) -> Contents:
        """Look into a folder, and into those below it until an image is found."""
        above = {folder.resolve(), *folder.resolve().parents}
        images = sum(1 for entry in entries(folder, LeftOut()) if not is_folder(entry) and is_image(entry))
        holding = [path for path in subfolders(folder) if next(images_below(path, set(above), LeftOut()), None)]
        return Contents(images, holding)


def entries(folder: Path, left_out: LeftOut) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, but for what systems and tools left there, which is counted.

    Raises:
        PipelineError: it can't be listed.
    """
    try:
        with os.scandir(folder) as found:
            everything = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    kept = []
    for entry in everything:
        of_a_system = is_system_folder(entry.name) if is_folder(entry) else is_system_file(entry.name)
        left_out.system += of_a_system
        if not of_a_system:
            kept.append(entry)
    return kept


def subfolders(folder: Path) -> list[Path]:
    """Its folders, by name."""
    return [Path(entry.path) for entry in entries(folder, LeftOut()) if is_folder(entry)]


def images_below(folder: Path, seen: set[Path], left_out: LeftOut) -> Iterator[Path]:
    """All images below a folder; links are followed, but no folder is entered twice (link loops).

    Args:
        seen: folders that are not entered; grows.
        left_out: counts what is passed over.
    """
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    for entry in entries(folder, left_out):
        if is_folder(entry):
            yield from images_below(Path(entry.path), seen, left_out)
        elif is_image(entry):
            yield Path(entry.path)
        else:
            left_out.others[_kind(entry)] += 1


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_image(entry: os.DirEntry[str]) -> bool:
    """By the end of its name, and where that says nothing by its first bytes; no pipe, socket or device."""
    if not (entry.is_symlink() or entry.is_file()):
        return False
    ending = os.path.splitext(entry.name)[1].lower()
    return ending in extensions() or (ending not in NO_IMAGES and looks_like_an_image(Path(entry.path)))


def _kind(entry: os.DirEntry[str]) -> str:
    if not (entry.is_symlink() or entry.is_file()):
        return "pipes, sockets and devices"
    ending = os.path.splitext(entry.name)[1].lower()
    return f"*{printable(ending)}" if ending else "without an ending"


#: Ends of names that are not worth a look.
NO_IMAGES = frozenset(
    ".txt .csv .tsv .json .xml .md .html .htm .yaml .yml .py .ipynb .zip .gz .tar .tgz .npy .npz .pkl .pt .h5 .mat "
    ".pdf .doc .docx .xls .xlsx .mp4 .mov .avi .mkv .mp3 .wav .log .ini .cfg .toml .db .parquet".split()
)
