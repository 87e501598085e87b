"""CIFAR-10 and CIFAR-100 in their binary layout (no unpickling): extracted, or the .tar.gz archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.data.archives import extract
from pipeline.data.download import ensure
from pipeline.data.sources.base import Source, part_of_array
from pipeline.errors import PipelineError
from pipeline.settings import Cifar

PIXELS = 3 * 32 * 32
FILES = {
    10: {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]},
    100: {"train": ["train.bin"], "test": ["test.bin"]},
}
NAMES = {10: "batches.meta.txt", 100: "fine_label_names.txt"}
#: CIFAR-100's records begin with a coarse label, which we leave out, and then the fine one.
LABEL_BYTES = {10: 1, 100: 2}


def open_cifar(settings: Cifar, root: Path) -> Source:
    """Open the data set below root/path, or the archive that lies in root.

    Raises:
        PipelineError: a file is missing, truncated, or has a label out of range.
    """
    folder = root / settings.path
    if not folder.is_dir():
        _unpack(settings, root)
    classes = _class_names(folder / NAMES[settings.classes], settings.classes)
    parts = {}
    for split, names in FILES[settings.classes].items():
        loaded = [read_records(folder / name, settings.classes) for name in names]
        images = np.concatenate([images for images, _ in loaded])
        labels = np.concatenate([labels for _, labels in loaded])
        parts[split] = part_of_array(images, labels, split, settings.image_size)
    description = (
        f"CIFAR-{settings.classes} (Krizhevsky 2009): 32×32 photographs with a published train and test split."
    )
    return Source(classes, parts, description)


def read_records(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read one binary file: label byte(s), then the red, green and blue planes, for each image.

    Returns:
        images uint8 (N, 32, 32, 3), labels int64 (N,).
    """
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror}); fetch the archive again") from error
    record = LABEL_BYTES[classes] + PIXELS
    if len(raw) == 0 or len(raw) % record:
        raise PipelineError(
            f"{path}: is truncated or damaged: {len(raw):,} bytes are no whole number of records of {record:,}"
        )
    records = raw.reshape(-1, record)
    labels = records[:, LABEL_BYTES[classes] - 1].astype(np.int64)
    if labels.max() >= classes:
        at = int(labels.argmax())
        raise PipelineError(f"{path}: the label of record {at} is {labels[at]}, allowed: 0 to {classes - 1}")
    planes = records[:, LABEL_BYTES[classes] :].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _unpack(settings: Cifar, root: Path) -> None:
    archives = list(settings.checksums) or [f"cifar-{settings.classes}-binary.tar.gz"]
    if not (root / archives[0]).is_file():
        ensure(settings, root, archives)
    extract(root / archives[0], root, settings.checksums.get(archives[0]))
    if not (root / settings.path).is_dir():
        raise PipelineError(f"{root / archives[0]}: holds no folder {settings.path}")


def _class_names(path: Path, classes: int) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError:
        return [str(label) for label in range(classes)]
    if len(names) != classes:
        raise PipelineError(f"{path}: names {len(names)} classes, {classes} expected")
    return names
