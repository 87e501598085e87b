"""Writing files so that a kill in the middle leaves nothing half-written."""

from __future__ import annotations

import copy
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import PipelineError


@contextmanager
def atomic(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing and rename it to `path` at the end.

    Raises PipelineError when the disk refuses (full, read-only); `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    encoding = None if "b" in mode else "utf-8"
    newline = None if "b" in mode else "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, keys in the given order, NaN refused (it is not JSON)."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic(path, "w") as file:
        file.write(text + "\n")


def read_json(path: Path, stage: str) -> Any:
    """Read JSON that the pipeline's `stage` wrote; a PipelineError names the stage to rerun."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage {stage}") from error


def parse_yaml(text: str) -> Any:
    """YAML 1.2 as plain mappings and lists; a text that was parsed just before is not parsed again.

    Raises:
        YAMLError: it is none (of ruamel.yaml).
    """
    return copy.deepcopy(_parsed(text))


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as an uncompressed .npz archive without pickles."""
    with atomic(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, stage: str) -> dict[str, np.ndarray]:
    """Read an .npz archive that `stage` wrote; pickled objects in it are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage {stage}") from error


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: list[str]) -> None:
    """Write rows as CSV; None is an empty cell."""
    with atomic(path, "w") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def printable(name: str | Path) -> str:
    """A file name as valid text: bytes that are no UTF-8 show as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def expanded(path: str) -> str:
    """A path as a person writes it, with `~` and environment variables put in."""
    return os.path.expandvars(os.path.expanduser(path))


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`, or of the file itself."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def reserve(descriptor: int, size: int) -> None:
    """Claim disk space for an open file, where the system can (not on macOS)."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
