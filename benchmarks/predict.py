"""Scoring files against scoring the same images from memory, as a stage scores test: what reading costs.

Where a method takes less time than decoding (colour histograms), decoding is what is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import chdir
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import Row, medians
from benchmarks.project import make_project
from pipeline import catalogue, layout, settings
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.families import fit
from pipeline.models.recipe import Recipe
from pipeline.prediction.choosing import load_all
from pipeline.prediction.scoring import answer_files
from pipeline.stages import prepare

METHODS = ("hog", "sift_fv", "alexnet", "resnet20")
IMAGES = 4000
REPEATS = 3
#: Fitted in moments: how long a model takes to score does not depend on how well it was trained.
BRIEF = {
    "datasets.objects.images_per_class": {"train": 20, "val": 5, "test": 5},
    "tuning_trials": 1,
    "features": ["hog", "sift_fv"],
    "fusions": [],
    "networks": ["alexnet", "resnet20"],
    **{f"{key}.svm.C": [0.1] for key in ("hog", "sift_fv")},
    "sift_fv.features.sample": 20000,
    **{
        f"{key}.{name}": value
        for key in ("alexnet", "resnet20")
        for name, value in {"learning_rates": [0.01], "epochs": 1, "trial_epochs": 1}.items()
    },
}


def run(data_root: Path) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, _inside(make_project(Path(name) / "project", BRIEF)):
        prepare.run()
        chosen, found = settings.load(), Prepared.read()
        for key in METHODS:
            recipe = Recipe.of(chosen, key, catalogue.BY_KEY[key].family)
            fitted = fit(recipe, found.data, chosen.compute, Path("fits") / key)
            deliver(recipe, chosen.budget, fitted, found, score_test(fitted, found.test))
        images = np.concatenate([found.data.train.images, found.data.val.images])
        images = np.concatenate([images] * -(-IMAGES // len(images)))[:IMAGES]
        files = _files(images, Path("photos"))
        return [_row(key, images, files) for key in METHODS]


def _row(key: str, images: np.ndarray, files: list[Path]) -> Row:
    compute = settings.load().compute
    stored = load_all(layout.MODELS, [key], compute)

    def from_files() -> None:
        for _ in answer_files(stored, files, 5, 0.0, compute.worker_count, lambda count: None):
            pass

    ours, memory = medians([from_files, lambda: stored[key].model.scores(images)], REPEATS)
    side = images.shape[1]
    return Row(
        f"predict {key}, JPEG {side}×{side}", len(files) / ours, len(files) / memory, "from memory", "images/s", 0.8
    )


def _files(images: np.ndarray, folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:05d}.jpg" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[:, :, ::-1])
    return paths


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    chdir(folder)
    try:
        yield
    finally:
        chdir(before)
