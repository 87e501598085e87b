"""What the methods left in results/, checked; a method whose files can't be used is marked as failed and left out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import catalogue, layout, progress
from pipeline.catalogue import Method
from pipeline.cross_validation.kept import Kept, read
from pipeline.curves import kept as fits
from pipeline.curves.kept import Point
from pipeline.data.contract import Split, load_manifest, load_split
from pipeline.errors import PipelineError
from pipeline.evaluation import robustness
from pipeline.evaluation.robustness import Robustness
from pipeline.evaluation.scores import Cost, read_cost, read_scores
from pipeline.files import read_json
from pipeline.settings import Settings

UNAVAILABLE = "unavailable.json"  # in the place of results: why a method could not be had


@dataclass(frozen=True)
class Result:
    """One method's outcome: its scores for val and test, what it cost, what was tried."""

    method: Method
    scores: dict[str, np.ndarray]
    cost: Cost
    tuning: list[dict[str, Any]]
    folder: Path

    @property
    def stage(self) -> str:
        """The stage that made it."""
        return layout.stage_of(self.method.family, self.method.key)

    @property
    def best_epoch(self) -> int:
        """The epoch whose snapshot a network kept."""
        path = self.folder / "live" / "metrics.json"
        with _readable(path, self.stage):
            return int(json.loads(path.read_text(encoding="utf-8"))["best_epoch"])

    def curve(self, name: str) -> list[tuple[int, float]]:
        """What DVCLive recorded of a network: epoch and value."""
        path = self.folder / "live" / "plots" / "metrics" / f"{name}.tsv"
        with _readable(path, self.stage), open(path, encoding="utf-8", newline="") as file:
            return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file, delimiter="\t")]

    def gradients(self) -> list[tuple[str, int, float]]:
        """Layer, epoch and size of the gradient of a network's weights, layers from the image on."""
        path = self.folder / "statistics.csv"
        with _readable(path, self.stage), open(path, encoding="utf-8", newline="") as file:
            # Non-linearities have neither weights nor a gradient; an empty cell beside a weight is a gradient of NaN.
            rows = [row for row in csv.DictReader(file) if row.get("gradient") or row.get("weight")]
            return [(row["layer"], int(row["epoch"]), float(row.get("gradient") or "nan")) for row in rows]


@contextmanager
def _readable(path: Path, stage: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage {stage}") from error


@dataclass(frozen=True)
class Outcome:
    """Everything that evaluation and report start from.

    Attributes:
        manifest: of data/.
        splits: val and test.
        results: of the methods that can be used, oldest first.
        failed: for each other selected method a sentence that says which file is at fault and which stage to rerun.
        folds: what cross-validation left; None where there was none.
        curves: the points of each method's learning curve, by its key.
        seeds: what each method reached from other seeds than the one of its results, by its key.
        robustness: how methods fare on changed test images; None where nobody measured it.
    """

    manifest: dict[str, Any]
    splits: dict[str, Split]
    results: list[Result]
    failed: dict[str, str]
    folds: Kept | None = None
    curves: dict[str, list[Point]] = field(default_factory=dict)
    seeds: dict[str, list[Point]] = field(default_factory=dict)
    robustness: Robustness | None = None


def load(settings: Settings) -> Outcome:
    """Manifest, val and test, and the results of all selected methods.

    Raises:
        PipelineError: data/ or results/robustness/ can't be read, or no method has a result that can be used.
    """
    manifest = load_manifest()
    splits = {name: load_split(name) for name in ("val", "test")}
    results, failed = _read_all(settings, splits, len(manifest["classes"]))
    if not results:
        raise PipelineError(f"no method has a result that can be used; the first: {next(iter(failed.values()))}")
    methods = [method.key for method in catalogue.by_year(settings.selected)]
    folds = read(methods, len(manifest["classes"])) if manifest["folds"] else None
    ids = splits["test"].ids
    curves = {key: _fits(layout.curve_of(key), f"curve@{key}", ids) for key in settings.curve.methods}
    changed = robustness.read(manifest["splits"]["test"]["fingerprint"])
    others = settings.other_seeds
    seeds = {key: _fits(layout.SEEDS / key, "seeds", ids, others) for key in methods} if others else {}
    return Outcome(manifest, splits, results, failed, folds, curves, seeds, changed)


def _fits(folder: Path, stage: str, ids: list[str], seeds: Sequence[int] = (0,)) -> list[Point]:
    """Fits that can't be read are a point for each seed that says why."""
    try:
        return fits.read(folder, stage, ids)
    except PipelineError as error:
        return [Point(0, seed, failed=str(error)) for seed in seeds]


def _read_all(settings: Settings, splits: Mapping[str, Split], classes: int) -> tuple[list[Result], dict[str, str]]:
    results, failed = [], {}
    for method in catalogue.by_year(settings.selected):
        try:
            results.append(_read(method, splits, classes))
        except PipelineError as error:
            failed[method.key] = str(error)
            progress.say(f"{method.title} is left out: {error}")
    return results, failed


def _read(method: Method, splits: Mapping[str, Split], classes: int) -> Result:
    folder = layout.results_of(method.family, method.key)
    stage = layout.stage_of(method.family, method.key)
    if (folder / UNAVAILABLE).is_file():
        raise PipelineError(read_json(folder / UNAVAILABLE, stage)["why"])
    scores = read_scores(folder, dict(splits), classes, stage)
    tuning = read_json(folder / "tuning.json", stage)
    if not isinstance(tuning, list) or not all(isinstance(trial, dict) and "val_error" in trial for trial in tuning):
        raise PipelineError(f"{folder}/tuning.json: is no list of what was tried; rerun the stage {stage}")
    result = Result(method, scores, read_cost(folder, stage), tuning, folder)
    if method.is_network:  # what the report shows of it must be there too
        _ = result.best_epoch, result.curve("train_error"), result.curve("val_error"), result.gradients()
    return result
