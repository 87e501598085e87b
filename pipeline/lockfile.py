"""dvc.lock, kept beside before each stage.

DVC empties dvc.lock and then writes it anew, after each stage. A kill in between leaves half a file, and from then on
every `dvc repro` ends with "validation failed". So each stage that DVC starts keeps a copy, which is put back when the
file is not valid. The stage that had just ended is then missing in it; its results come out of DVC's run cache.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.files import atomic, parse_yaml

LOCK = Path("dvc.lock")
KEPT = layout.WORK / "dvc.lock"


def keep() -> None:
    """Copy dvc.lock, if DVC started this process: then it has just read the file, which is thus valid."""
    if "DVC_STAGE" not in os.environ or not LOCK.is_file():
        return
    with suppress(OSError, PipelineError):  # a disk that is full will be named by whatever needs it
        raw = LOCK.read_bytes()
        with atomic(KEPT) as file:
            file.write(raw)


def mend() -> str | None:
    """Put the copy back where dvc.lock is not valid, or without a copy take the file away.

    Returns:
        What was done, as a sentence; None if nothing was needed.

    Raises:
        PipelineError: the file can't be read or replaced.
    """
    if not LOCK.is_file():
        return None
    try:
        raw = LOCK.read_bytes()
        if _valid(raw):
            return None
        if b"<<<<<<<" in raw:
            raise PipelineError(f"{LOCK}: has the marks of a merge conflict; resolve it, or take one side's file whole")
        kept = KEPT.read_bytes() if KEPT.is_file() else b""
        if _valid(kept):
            with atomic(LOCK) as file:
                file.write(kept)
            return f"{LOCK} was cut off when a run was killed; the copy of a moment before was put back"
        LOCK.unlink()
    except OSError as error:
        raise PipelineError(f"{LOCK}: cannot be mended ({error.strerror or error}); check its permissions") from error
    return f"{LOCK} was cut off when a run was killed; it was taken away, and DVC writes it anew from its run cache"


def _valid(raw: bytes) -> bool:
    """Whether DVC takes it, and it was not cut within a line: half a checksum would have DVC run a stage again."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    if not raw.endswith(b"\n"):
        return False
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(raw.decode("utf-8")))
    except (UnicodeDecodeError, YAMLError, Invalid):
        return False
    return True
