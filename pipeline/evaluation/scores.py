"""The score contract: what every method leaves, and all that evaluation reads.

results/<family>/<method>/scores.npz   val, test: float32 (N, classes), larger is better; val_ids, test_ids
                                       perhaps val_strangeness, test_strangeness: float32 (N,); see models.familiarity
results/<family>/<method>/cost.json    see Cost
results/<family>/<method>/tuning.json  [{candidate, val_error, chosen}]: what was tried on val
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.contract import Split
from pipeline.errors import PipelineError
from pipeline.files import read_arrays, read_json, write_arrays, write_json


@dataclass(frozen=True)
class Cost:
    """What a method costs.

    Attributes:
        training_seconds: from images to a fitted model, tuning included.
        prediction_seconds: per image, from pixels to scores, in batches.
        bytes: of the stored model, codebooks included.
        parameters: numbers fitted to train.
        multiply_adds: per image, from pixels to scores; None where it depends on the image.
        device: what it ran on.
        precision: of the arithmetic.
        threads: at work.
        tuning_seconds: of the training, what was spent on trying learning rates.
        views: of each val and test image that were scored, their scores averaged; 2: also its mirror image.
    """

    training_seconds: float
    prediction_seconds: float
    bytes: int
    parameters: int
    multiply_adds: int | None
    device: str
    precision: str
    threads: int
    views: int = 1
    tuning_seconds: float | None = None


def write_result(
    folder: Path,
    scores: dict[str, np.ndarray],
    splits: dict[str, Split],
    cost: Cost,
    tuning: list[dict[str, Any]],
    strangeness: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a method's scores for val and test, its cost, what was tried, and how strange the images are to it.

    Raises:
        PipelineError: a score is NaN or infinite (the model diverged); nothing is written.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, values in scores.items():
        check(values, len(splits[name]), None, f"{folder.name}'s scores for {name}")
        arrays[name] = values.astype(np.float32)
        arrays[f"{name}_ids"] = np.array(splits[name].ids)
    for name, values in (strangeness or {}).items():
        arrays[f"{name}_strangeness"] = values.astype(np.float32)
    write_arrays(folder / "scores.npz", **arrays)
    write_json(folder / "cost.json", asdict(cost))
    write_json(folder / "tuning.json", tuning)


def read_scores(folder: Path, splits: dict[str, Split], classes: int, stage: str) -> dict[str, np.ndarray]:
    """A method's scores for the given splits, checked against them.

    Raises:
        PipelineError: a file is missing or damaged, belongs to other images, or holds NaN.
    """
    path = folder / "scores.npz"
    arrays = read_arrays(path, stage)
    for name, split in splits.items():
        if name not in arrays or f"{name}_ids" not in arrays:
            raise PipelineError(f"{path}: has no scores for {name}; rerun the stage {stage}")
        check(arrays[name], len(split), classes, str(path))
        if arrays[f"{name}_ids"].tolist() != split.ids:
            raise PipelineError(f"{path}: was made for other images than those in data/{name}; rerun the stage {stage}")
    return {name: arrays[name] for name in splits}


def read_strangeness(folder: Path, splits: dict[str, Split], stage: str) -> dict[str, np.ndarray]:
    """How strange the images of the given splits are to a method, float32 (N,).

    Raises:
        PipelineError: a file is missing or damaged, or belongs to other images.
    """
    path = folder / "scores.npz"
    arrays = read_arrays(path, stage)
    found = {name: arrays.get(f"{name}_strangeness") for name in splits}
    for name, split in splits.items():
        values = found[name]
        if values is None or values.shape != (len(split),):
            raise PipelineError(f"{path}: does not say how strange the images of {name} are; rerun the stage {stage}")
    return {name: values for name, values in found.items() if values is not None}


def read_cost(folder: Path, stage: str) -> Cost:
    """A method's cost.

    Raises:
        PipelineError: the file can't be read, or another version of this project wrote it.
    """
    path = folder / "cost.json"
    found = read_json(path, stage)
    try:
        return Cost(**found)
    except TypeError as error:
        raise PipelineError(
            f"{path}: was written by another version of this project; rerun the stage {stage}"
        ) from error


def check(values: np.ndarray, count: int, classes: int | None, where: str) -> None:
    """Scores must be finite and of this shape.

    Args:
        where: they stand; begins the sentence.

    Raises:
        PipelineError: they are not.
    """
    if values.ndim != 2 or len(values) != count or (classes is not None and values.shape[1] != classes):
        wanted = f"{count}×{classes or 'classes'}"
        raise PipelineError(f"{where}: have the shape {values.shape}, expected {wanted}; rerun its stage")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise PipelineError(
            f"{where}: {len(bad)} of {count} images have NaN or infinite scores (the first: number {bad[0]}); "
            "the model diverged: lower its learning rate or C, and rerun its stage"
        )
