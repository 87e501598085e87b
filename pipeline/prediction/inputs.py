"""Which image files are meant: files, folders with all that lies below them, patterns, and lists on standard input."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from pipeline.data.folders.contents import LeftOut, images_below
from pipeline.errors import PipelineError

STANDARD_INPUT = "-"
PATTERN = set("*?[")


def find_images(names: Iterable[str], listed: TextIO) -> list[Path]:
    """The image files of all names, in their order, each once.

    Args:
        names: a file, a folder (all images below it, links followed), a pattern such as photos/*.jpg, or `-` for a
            list on standard input, a name a line.
        listed: standard input.

    Raises:
        PipelineError: a folder holds no image or can't be listed, a pattern matches nothing, or nothing is named.
    """
    found = dict.fromkeys(path for name in _names(names, listed) for path in _of(name))
    if not found:
        raise PipelineError("no image is named; name files, folders or patterns, or `-` for a list on standard input")
    return list(found)


def _names(names: Iterable[str], listed: TextIO) -> Iterator[str]:
    for name in names:
        if name == STANDARD_INPUT:
            yield from (line.rstrip("\n") for line in listed if line.strip())
        else:
            yield name


def _of(name: str) -> list[Path]:
    path = Path(name).expanduser()
    if path.is_dir():
        found = sorted(images_below(path, set(), LeftOut()))
        if not found:
            raise PipelineError(f"{path}: holds no image, and neither do the folders below it; name another folder")
        return found
    if PATTERN & set(name) and not path.exists():
        matched = sorted(glob.glob(str(path), recursive=True))
        if not matched:
            raise PipelineError(f"{name}: no file matches this pattern; check it, or name a folder")
        return [one for match in matched for one in _of(glob.escape(match) if not Path(match).exists() else match)]
    return [path]  # a file that can't be read is a row of its own, with the reason
