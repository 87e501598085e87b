"""The split contract: packed images with one frozen split, the only form in which any method sees the data.

data/manifest.json            classes, counts, source, fingerprints, skipped images, duplicates
data/{train,val,test}/images.npy    uint8 (N, H, W, 3), RGB, memory-mapped on reading
data/{train,val,test}/labels.npy    int64 (N,)
data/{train,val,test}/ids.json      N stable names
data/{train,val,test}/together.npy  int64 (N,); images with the same number are copies, or of one group
data/{train,val,test}/folds.npz     where images are cross-validated: folds, int64 (N,), in whose test each image is
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.files import read_arrays, read_json

SPLITS = ("train", "val", "test")
MANIFEST = {"dataset", "classes", "splits", "grey", "notes", "folds"}  # what every manifest has


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        images: uint8 (N, H, W, 3), RGB; a read-only memory map.
        labels: int64 (N,), indices into the manifest's classes.
        ids: stable names of the images, unique over all splits.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    ids: list[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TrainingData:
    """All that a method may see while it is fitted: never test.

    Attributes:
        train, val: any subset of the splits.
        classes: names; a label is an index into them.
        grey: whether all images of the data set are grey.
        fingerprint: tells these images from any others, for work that a killed run left behind.
    """

    train: Split
    val: Split
    classes: list[str]
    grey: bool
    fingerprint: Any

    @property
    def channels(self) -> int:
        """1 where all images are grey."""
        return 1 if self.grey else 3

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, H, W) of what a network takes."""
        height, width = self.train.images.shape[1:3]
        return self.channels, height, width


def load_training_data(folder: Path = layout.DATA) -> TrainingData:
    """Train and val as prepare left them."""
    manifest = load_manifest(folder)
    train, val = load_split("train", folder), load_split("val", folder)
    return TrainingData(train, val, manifest["classes"], manifest["grey"], manifest["splits"])


def load_manifest(folder: Path = layout.DATA) -> dict[str, Any]:
    """The manifest that prepare wrote."""
    manifest: dict[str, Any] = read_json(folder / "manifest.json", "prepare")
    if not isinstance(manifest, dict) or not manifest.keys() >= MANIFEST:
        raise PipelineError(f"{folder / 'manifest.json'}: is no manifest of this version; rerun the stage prepare")
    return manifest


def load_split(name: str, folder: Path = layout.DATA) -> Split:
    """Open one split; the images stay on disk until they are used.

    Raises:
        PipelineError: a file is missing, damaged, or does not fit the others.
    """
    where = folder / name
    try:
        images = np.load(where / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(where / "labels.npy", allow_pickle=False)
        ids = json.loads((where / "ids.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError) as error:
        raise PipelineError(f"{where}: cannot be read ({error}); rerun the stage prepare") from error
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images) == len(labels) == len(ids):
        raise PipelineError(f"{where}: images, labels and ids don't fit together; rerun the stage prepare")
    return Split(name, images, labels, ids)


def load_together(split: Split, folder: Path = layout.DATA) -> np.ndarray:
    """Which images of a split stay together when others are drawn from it (groups, copies), int64 (N,).

    Raises:
        PipelineError: the file is missing, damaged, or of other images.
    """
    path = folder / split.name / "together.npy"
    try:
        together: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage prepare") from error
    return _of(split, together, path)


def load_folds(split: Split, folder: Path = layout.DATA) -> np.ndarray:
    """Which fold's test each image of a split is, int64 (N,).

    Raises:
        PipelineError: the file is missing, damaged, or of other images.
    """
    path = folder / split.name / "folds.npz"
    arrays = read_arrays(path, "prepare")
    if "folds" not in arrays:
        raise PipelineError(f"{path}: is of another version; rerun the stage prepare")
    return _of(split, arrays["folds"], path)


def _of(split: Split, values: np.ndarray, path: Path) -> np.ndarray:
    if values.shape != (len(split),):
        raise PipelineError(f"{path}: is of other images than those beside it; rerun the stage prepare")
    return values


class ImageWriter:
    """Append images to an .npy file whose length is known only at the end; memory stays flat.

    The header's size is fixed when the file is opened, so that the final count can be put in at the end.
    """

    HEADER_BYTES = 128

    def __init__(self, path: Path, count: int = 0, shape: tuple[int, ...] | None = None) -> None:
        """Begin a file, or go on behind the images that a killed run wrote.

        Args:
            path: of the file.
            count: images that are there, at least.
            shape: of each of them.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self.count, self.shape = path, count, shape if count else None
        self._file = open(path, "r+b" if count else "wb")  # noqa: SIM115 - closed by __exit__
        if count:
            self._file.truncate(self.size(count, shape))
            self._file.seek(0, os.SEEK_END)
        else:
            self._file.write(b"\0" * self.HEADER_BYTES)

    @classmethod
    def size(cls, count: int, shape: tuple[int, ...] | None) -> int:
        """Bytes of a file of so many images."""
        return cls.HEADER_BYTES + count * int(np.prod(shape or ()))

    def append(self, images: np.ndarray) -> None:
        """Write a batch, uint8 (n, H, W, 3).

        Raises:
            PipelineError: the images have another size than those before, or the disk is full.
        """
        if len(images) == 0:
            return
        if self.shape is None:
            self.shape = images.shape[1:]
        if images.shape[1:] != self.shape:
            (height, width), (first_height, first_width) = images.shape[1:3], self.shape[:2]
            raise PipelineError(
                f"images differ in size ({width}×{height} after {first_width}×{first_height} pixels); set the data "
                "set's `image_size` in params.yaml"
            )
        try:
            self._file.write(np.ascontiguousarray(images, dtype=np.uint8).data)
        except OSError as error:
            raise PipelineError(f"{self._path}: cannot be written ({error.strerror or error})") from error
        self.count += len(images)

    def flush(self) -> None:
        """Hand what was appended to the system, which has it even if this process is killed.

        Raises:
            PipelineError: the disk is full.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise PipelineError(f"{self._path}: cannot be written ({error.strerror or error})") from error

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as problem:
            raise PipelineError(f"{self._path}: cannot be written ({problem.strerror or problem})") from problem
        finally:
            self._file.close()

    def _header(self) -> bytes:
        shape = (self.count, *(self.shape or (0, 0, 3)))
        text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
        room = self.HEADER_BYTES - 10
        return np.lib.format.magic(1, 0) + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"
