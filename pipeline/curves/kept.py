"""What a curve leaves in results/curve/<method>/, and other seeds in results/seeds/<method>/, where any are wanted.

ranks.npz      test: uint16 (F, N), how many classes each fit scores above an image's true one; ids: N names
fits.json      F rows, of every fit: see Point; those that failed have no row in ranks.npz and say why
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError
from pipeline.files import read_arrays, read_json, write_arrays, write_json


@dataclass(frozen=True)
class Point:
    """One fit.

    Attributes:
        size: labelled images, train and val together.
        seed: of the subset and of all that is random in training.
        ranks: uint16 (N,), of test's images; see metrics.ranks. None where the fit failed.
        val_error: top-1, 0-1.
        val_images: how many val has.
        train_seconds: from images to the model, tuning included.
        predict_ms: an image.
        bytes: of the model.
        steps: of the optimiser.
        chosen: the candidate that val chose.
        tuned: whether val chose it among all; else it is that of the next larger size.
        failed: why there is nothing else.
    """

    size: int
    seed: int
    ranks: np.ndarray | None = None
    val_error: float = float("nan")
    val_images: int = 0
    train_seconds: float = 0.0
    predict_ms: float = 0.0
    bytes: int = 0
    steps: int = 0
    chosen: str = ""
    tuned: bool = True
    failed: str | None = None


def write(points: list[Point], ids: list[str], folder: Path) -> None:
    """Write the points of one method.

    Args:
        ids: of test's images.
    """
    there = [point.ranks for point in points if point.ranks is not None]
    ranks = np.stack(there) if there else np.empty((0, len(ids)), np.uint16)
    rows = []
    for point in points:
        row = {name: value for name, value in asdict(point).items() if name != "ranks"}
        rows.append(row if point.failed is None else {name: row[name] for name in ("size", "seed", "failed")})
    write_arrays(folder / "ranks.npz", test=ranks, ids=np.array(ids))
    write_json(folder / "fits.json", rows)


def read(folder: Path, stage: str, ids: list[str]) -> list[Point]:
    """What one method left, by size and seed; [] where nothing was wanted.

    Args:
        folder: of the method.
        stage: that wrote it.
        ids: of test's images.

    Raises:
        PipelineError: a file is damaged, or of other images.
    """
    if not (folder / "fits.json").is_file():
        return []
    rows, arrays = read_json(folder / "fits.json", stage), read_arrays(folder / "ranks.npz", stage)
    try:
        if arrays["ids"].tolist() != ids:
            raise PipelineError(f"{folder}: is of other test images than those in data/; rerun the stage {stage}")
        return sorted(_points(rows, arrays["test"]), key=lambda point: (point.size, point.seed))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PipelineError(f"{folder}: is of another version ({error}); rerun the stage {stage}") from error


def _points(rows: list[dict[str, Any]], ranks: np.ndarray) -> list[Point]:
    found, number = [], 0
    for row in rows:
        if row.get("failed"):
            found.append(Point(**row))
            continue
        found.append(Point(**row, ranks=ranks[number]))
        number += 1
    if number != len(ranks):
        raise ValueError("ranks.npz and fits.json are of different fits")
    return found
