"""IDX files, the format of MNIST and Fashion-MNIST; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.download import ensure
from pipeline.data.sources.base import Source, part_of_array
from pipeline.errors import PipelineError
from pipeline.settings import Idx

NAMES = {"train": "train", "test": "t10k"}


def open_idx(settings: Idx, root: Path) -> Source:
    """Open a data set of four IDX files below root/path.

    Raises:
        PipelineError: a file is missing, truncated, of another format, or has labels out of range.
    """
    folder = root / settings.path
    wanted = [f"{stem}-{kind}" for stem in NAMES.values() for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    missing = [name for name in wanted if _find(folder, name) is None]
    if missing:
        ensure(settings, folder, [f"{name}.gz" for name in missing])
    parts, highest = {}, 0
    for split, stem in NAMES.items():
        images = read_idx(_existing(folder, f"{stem}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(_existing(folder, f"{stem}-labels-idx1-ubyte"), dimensions=1)
        if len(images) != len(labels):
            raise PipelineError(f"{folder}: {stem} has {len(images)} images but {len(labels)} labels")
        highest = max(highest, int(labels.max(initial=0)))
        parts[split] = part_of_array(images, labels, split, settings.image_size)
    classes = settings.classes or [str(label) for label in range(highest + 1)]
    if highest >= len(classes):
        raise PipelineError(
            f"{folder}: a label is {highest}, but only {len(classes)} classes are named "
            "(labels must be below that); name every class in params.yaml"
        )
    return Source(classes, parts, f"{settings.path}: IDX files with a published train and test split.")


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes (LeCun's format: two zeros, type 8, dimensions, big-endian sizes).

    Raises:
        PipelineError: damaged, of another type, or shorter or longer than its header says.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); the file may be truncated, fetch it again") from error
    header = 4 + 4 * dimensions
    if len(raw) < header or raw[:3] != b"\0\0\x08" or raw[3] != dimensions:
        raise PipelineError(f"{path}: is not an IDX file of {dimensions}-dimensional bytes")
    shape = tuple(np.frombuffer(raw, ">u4", dimensions, offset=4).tolist())
    if len(raw) - header != math.prod(shape):
        raise PipelineError(
            f"{path}: is truncated or damaged: its header promises {math.prod(shape):,} bytes of data, "
            f"it holds {len(raw) - header:,}; fetch it again"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _existing(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    assert path is not None, name
    return path
