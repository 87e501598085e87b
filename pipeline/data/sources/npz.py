"""Arrays of a NumPy archive: those of MedMNIST (train_images, train_labels), of Keras (x_train), or one pair."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline import layout
from pipeline.data.classes import check_number
from pipeline.data.download import ensure
from pipeline.data.sources.base import Part, Source, part_of_array
from pipeline.errors import PipelineError
from pipeline.files import expanded
from pipeline.settings import Npz

#: What the arrays of a split may be called: images, labels.
PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train"), ("X_train", "y_train")),
    "val": (("val_images", "val_labels"), ("x_val", "y_val"), ("X_val", "y_val")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test"), ("X_test", "y_test")),
    "all": (("images", "labels"), ("x", "y"), ("X", "y")),
}


def open_npz(settings: Npz, root: Path) -> Source:
    """Open the archive root/path; its arrays are unpacked into the work folder, and memory stays flat.

    Raises:
        PipelineError: it is missing, damaged, or holds something else than images of 8 bits and one label each.
    """
    path = root / expanded(settings.path)
    if not path.is_file():
        ensure(settings, path.parent, [path.name])
    archive = _Archive(path)
    pairs = archive.pairs()
    labels = {split: archive.labels(names[1]) for split, names in pairs.items()}
    highest = max(int(values.max()) for values in labels.values())
    classes = settings.classes or [str(label) for label in range(highest + 1)]
    check_number(classes, str(path))
    if highest >= len(classes):
        raise PipelineError(
            f"{path}: a label is {highest}, but only {len(classes)} classes are named (labels must be below that); "
            "name every class in params.yaml"
        )
    parts = {
        split: _part(archive.images(names[0], len(labels[split])), labels[split], split, settings.image_size)
        for split, names in pairs.items()
    }
    given = [split for split in parts if split != "all"]
    return Source(classes, parts, f"{settings.path}: arrays of NumPy, with {' and '.join(given) or 'no split'} given.")


def _part(images: np.ndarray, labels: np.ndarray, split: str, image_size: int | None) -> Part:
    return part_of_array(
        images[..., 0] if images.shape[-1] == 1 and images.ndim == 4 else images, labels, split, image_size
    )


class _Archive:
    """An .npz file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as packed:
                self.names = {name.removesuffix(".npy") for name in packed.namelist() if name.endswith(".npy")}
        except (OSError, zipfile.BadZipFile) as error:
            raise PipelineError(f"{path}: cannot be read as an .npz archive ({error}); fetch it again") from error
        layout.WORK.mkdir(parents=True, exist_ok=True)
        # Removed with this object; arrays that are mapped by then stay readable, since they hold their files open.
        self._folder = tempfile.TemporaryDirectory(prefix="npz-", dir=layout.WORK)

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Of every split that is there, the names of its images and labels."""
        found = {
            split: next((pair for pair in pairs if set(pair) <= self.names), None) for split, pairs in PAIRS.items()
        }
        pairs = {split: pair for split, pair in found.items() if pair is not None}
        if "train" not in pairs and "all" not in pairs:
            raise PipelineError(
                f"{self._path}: holds {', '.join(sorted(self.names)) or 'no arrays'}, but no train_images with "
                "train_labels (nor x_train with y_train, nor images with labels); save the arrays by these names"
            )
        return {split: pair for split, pair in pairs.items() if split != "all"} if "train" in pairs else pairs

    def images(self, name: str, count: int) -> np.ndarray:
        """Uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3)."""
        images = self._array(name)
        colours = images.ndim == 4 and images.shape[-1] in (1, 3)
        if images.dtype != np.uint8 or not (images.ndim == 3 or colours):
            raise PipelineError(
                f"{self._path}: {name} is {images.dtype} of the shape {images.shape}, but images are uint8 of the "
                "shape (N, height, width) or (N, height, width, 3); save them so"
            )
        if len(images) != count:
            raise PipelineError(
                f"{self._path}: {name} has {len(images):,} images, but {count:,} labels; save them anew"
            )
        return images

    def labels(self, name: str) -> np.ndarray:
        """Integers (N,)."""
        labels = self._array(name)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or not len(labels) or labels.min() < 0:
            raise PipelineError(
                f"{self._path}: {name} is {labels.dtype} of the shape {labels.shape}, but labels are numbers from 0 "
                "on, one for each image; several labels an image can't be compared here"
            )
        return np.array(labels, np.int64)

    def _array(self, name: str) -> np.ndarray:
        target = Path(self._folder.name) / f"{name}.npy"
        try:
            with (
                zipfile.ZipFile(self._path) as packed,
                packed.open(f"{name}.npy") as stored,
                open(target, "wb") as file,
            ):
                shutil.copyfileobj(stored, file, 1 << 20)
            array = np.load(target, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
            raise PipelineError(f"{self._path}: {name} cannot be read ({error}); fetch the file again") from error
        except OSError as error:
            raise PipelineError(f"{target}: cannot be written ({error.strerror or error}); make room") from error
        return array
