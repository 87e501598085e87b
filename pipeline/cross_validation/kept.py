"""What cross-validation leaves in results/folds/, which stays empty where there was none.

images.npz     ids: N names; labels, folds: int64 (N,)
<method>.npz   scores: float32 (N, classes), of each image by a model that had not seen it
failed.json    method → why it has no scores
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation.scores import check
from pipeline.files import read_arrays, read_json, write_arrays, write_json

if TYPE_CHECKING:
    from pipeline.cross_validation.fitting import CrossValidated
    from pipeline.cross_validation.pool import Pool

STAGE = "folds"


@dataclass(frozen=True)
class Kept:
    """Read back.

    Attributes:
        ids: N names.
        labels, folds: int64 (N,).
        scores: by method, float32 (N, classes).
        failed: for each other method, why.
    """

    ids: list[str]
    labels: np.ndarray
    folds: np.ndarray
    scores: dict[str, np.ndarray]
    failed: dict[str, str]


def write(pool: Pool, found: CrossValidated, folder: Path = layout.FOLDS) -> None:
    """Write everything."""
    for key, scores in found.scores.items():
        write_arrays(folder / f"{key}.npz", scores=scores)
    write_arrays(folder / "images.npz", ids=np.array(pool.images.ids), labels=pool.images.labels, folds=pool.folds)
    write_json(folder / "failed.json", found.failed)


def read(methods: list[str], classes: int, folder: Path = layout.FOLDS) -> Kept | None:
    """What lies there of these methods; None where nothing was cross-validated.

    Raises:
        PipelineError: a file is damaged, or of other images.
    """
    if not (folder / "images.npz").is_file():
        return None
    images, failed = read_arrays(folder / "images.npz", STAGE), read_json(folder / "failed.json", STAGE)
    scores = {}
    for key in methods:
        if key in failed:
            continue
        path = folder / f"{key}.npz"
        found = read_arrays(path, STAGE).get("scores", np.zeros((0, 0)))
        check(found, len(images["ids"]), classes, str(path))
        scores[key] = found
    known = {key: why for key, why in failed.items() if key in methods}
    try:
        return Kept(images["ids"].tolist(), images["labels"], images["folds"], scores, known)
    except KeyError as error:
        raise PipelineError(f"{folder / 'images.npz'}: is of another version; rerun the stage {STAGE}") from error
