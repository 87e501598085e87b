"""Did a person's images change? A fingerprint of their names, sizes and times, which costs seconds for a million."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.files import expanded
from pipeline.project import own_folder
from pipeline.settings import Files, Settings


def fingerprint(settings: Settings) -> dict[str, Any]:
    """Of the chosen data set's files; {} where it is generated here, or fetched by a checksum.

    Returns:
        Folder, number of files, bytes, and a digest of what `os.stat` says of each, as DVC itself uses it.

    Raises:
        PipelineError: a folder can't be listed.
    """
    source = settings.source
    if not isinstance(source, Files) or source.fetched:
        return {}
    named = Path(expanded(settings.prepare.data_root)) / expanded(source.path)
    place = own_folder() / named
    digest, count, size = hashlib.blake2b(digest_size=16), 0, 0
    for name, found in _files(place):
        digest.update(f"{len(name)} ".encode() + name + f" {found.st_size} {found.st_mtime_ns}\n".encode())
        count, size = count + 1, size + found.st_size
    return {"folder": str(named), "files": count, "bytes": size, "digest": digest.hexdigest()}


def _files(place: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Each file's name below a folder, in order, or the file itself; links are followed, but no folder twice."""
    if not place.is_dir():
        if place.exists():
            yield b"", place.stat()
        return
    seen: set[tuple[int, int]] = set()
    folders = [os.fsencode(place)]
    start = len(folders[0])
    while folders:
        folder = folders.pop()
        try:
            own = os.stat(folder)
            if (own.st_dev, own.st_ino) in seen:
                continue
            seen.add((own.st_dev, own.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise PipelineError(
                f"{os.fsdecode(folder)}: cannot be listed ({error.strerror}); check its permissions"
            ) from error
        for entry in listed:
            if _is_folder(entry):
                folders.append(entry.path)
                continue
            try:
                yield entry.path[start:], entry.stat()
            except OSError:  # a link that leads nowhere
                yield entry.path[start:], entry.stat(follow_symlinks=False)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
