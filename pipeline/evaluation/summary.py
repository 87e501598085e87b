"""All scores → metrics.json, tables and plots. Everything here reads the score contract and nothing else."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import catalogue, layout
from pipeline.catalogue import Method
from pipeline.data.contract import Split, load_manifest, load_split
from pipeline.errors import PipelineError
from pipeline.evaluation import metrics, significance
from pipeline.evaluation.scores import Cost, read_cost, read_scores
from pipeline.files import atomic, read_json
from pipeline.settings import Settings

TOP_5_NEEDS = 6  # classes: with five, five guesses are always right


@dataclass(frozen=True)
class Result:
    """One method's outcome: its scores for val and test, what it cost, what was tried."""

    method: Method
    scores: dict[str, np.ndarray]
    cost: Cost
    tuning: list[dict[str, Any]]
    folder: Path

    @property
    def best_epoch(self) -> int:
        """The epoch whose snapshot a network kept."""
        live = read_json(self.folder / "live" / "metrics.json", f"cnn@{self.method.key}")
        return int(live["best_epoch"])


def read_results(settings: Settings, splits: Mapping[str, Split], classes: int) -> list[Result]:
    """The results of all selected methods, oldest method first.

    Raises:
        PipelineError: a result is missing, damaged or of other images; the sentence names the stage to rerun.
    """
    results = []
    for method in catalogue.by_year(settings.selected):
        folder = layout.results_of(method.family, method.key)
        stage = f"{layout.FAMILY_FOLDER[method.family]}@{method.key}"
        scores = read_scores(folder, dict(splits), classes, stage)
        tuning = read_json(folder / "tuning.json", stage)
        results.append(Result(method, scores, read_cost(folder, stage), tuning, folder))
    return results


def load(settings: Settings) -> tuple[dict[str, Any], dict[str, Split], list[Result]]:
    """Manifest, val and test, and all results."""
    manifest = load_manifest()
    splits = {name: load_split(name) for name in ("val", "test")}
    return manifest, splits, read_results(settings, splits, len(manifest["classes"]))


def summarise(
    settings: Settings, manifest: Mapping[str, Any], splits: Mapping[str, Split], results: list[Result]
) -> dict[str, Any]:
    """What metrics.json holds: errors in percent with intervals, costs, and which ranks are real."""
    confidence = settings.evaluation.confidence
    against_best = compare_with_best(splits["test"].labels, results)
    methods = {}
    for result in results:
        errors = {name: _errors(result.scores[name], split.labels, confidence) for name, split in splits.items()}
        p_value = against_best[result.method.key]
        methods[result.method.key] = {
            "year": result.method.year,
            "era": result.method.era,
            **errors,
            "p_equal_to_best": round(p_value, 6),
            "tied_with_best": p_value >= 1 - confidence,
            "cost": _cost(result.cost),
        }
    return {
        "dataset": settings.dataset,
        "budget": settings.budget,
        "seed": settings.seed,
        "confidence": confidence,
        "classes": len(manifest["classes"]),
        "images": {name: split["count"] for name, split in manifest["splits"].items()},
        "methods": methods,
    }


def compare_with_best(labels: np.ndarray, results: list[Result]) -> dict[str, float]:
    """p-value that a method errs as often as the best one on test (exact McNemar, Holm over all comparisons)."""
    wrong = {result.method.key: metrics.ranks(result.scores["test"], labels) > 0 for result in results}
    best = min(wrong, key=lambda key: wrong[key].mean())
    others = [key for key in wrong if key != best]
    p_values = significance.holm([significance.mcnemar(wrong[key], wrong[best]) for key in others])
    return {best: 1.0, **dict(zip(others, p_values, strict=True))}


def _errors(scores: np.ndarray, labels: np.ndarray, confidence: float) -> dict[str, float | None]:
    ranks = metrics.ranks(scores, labels)
    errors: dict[str, float | None] = {}
    for k in (1, 5):
        applies = k == 1 or scores.shape[1] >= TOP_5_NEEDS
        wrong = int((ranks >= k).sum())
        low, high = metrics.wilson_interval(wrong, len(labels), confidence)
        values = {"error": wrong / len(labels), "low": low, "high": high}
        for name, value in values.items():
            errors[f"top{k}_{name}"] = round(100 * value, 4) if applies else None
    return errors


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "training_seconds": round(cost.training_seconds, 2),
        "prediction_ms": round(1000 * cost.prediction_seconds, 4),
        "megabytes": round(cost.bytes / 1e6, 3),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "device": cost.device,
        "precision": cost.precision,
        "threads": cost.threads,
        "views": cost.views,
    }


# ------------------------------------------------------------------------------------------ tables and plots


def leaderboard(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method, best test error first."""
    rows = [
        {
            "method": key,
            "title": titled(key, values["cost"]["views"]),
            "year": values["year"],
            "era": values["era"],
            **{f"test_{name}": value for name, value in values["test"].items()},
            **{f"val_{name}": value for name, value in values["val"].items()},
            "tied_with_best": values["tied_with_best"],
            **values["cost"],
        }
        for key, values in summary["methods"].items()
    ]
    return sorted(rows, key=lambda row: row["test_top1_error"])


def titled(key: str, views: int) -> str:
    """A method's name, with the number of views where it scored more than the image itself."""
    title = catalogue.BY_KEY[key].title
    return title if views == 1 else f"{title}, {views} views"


def per_class(manifest: Mapping[str, Any], labels: np.ndarray, results: list[Result]) -> list[dict[str, Any]]:
    """Top-1 test error in percent by class and method; empty where a class has no test image."""
    classes = manifest["classes"]
    rows = []
    for result in results:
        errors = metrics.per_class_error(result.scores["test"], labels, len(classes))
        for name, error in zip(classes, errors, strict=True):
            percent = None if np.isnan(error) else round(100 * float(error), 4)
            rows.append({"method": result.method.key, "class": name, "error": percent})
    return rows


def guesses(manifest: Mapping[str, Any], labels: np.ndarray, results: list[Result]) -> list[dict[str, Any]]:
    """True and guessed class of every test image by the best method: DVC's confusion template counts them."""
    classes = manifest["classes"]
    best = min(results, key=lambda result: metrics.top_k_error(result.scores["test"], labels, 1))
    guessed = best.scores["test"].argmax(axis=1)
    return [
        {"actual": classes[truth], "predicted": classes[guess]} for truth, guess in zip(labels, guessed, strict=True)
    ]


def learning_curves(results: list[Result]) -> list[dict[str, Any]]:
    """Error in percent by network, epoch and split, from what DVCLive recorded."""
    rows = []
    for result in results:
        if result.method.family != "network":
            continue
        for split in ("train", "val"):
            for epoch, error in _curve(result.folder, f"{split}_error"):
                rows.append(
                    {
                        "network": result.method.key,
                        "split": split,
                        "epoch": epoch,
                        "error": round(100 * error, 4),
                        "kept": split == "val" and epoch == result.best_epoch,
                    }
                )
    return rows


def _curve(folder: Path, name: str) -> list[tuple[int, float]]:
    path = folder / "live" / "plots" / "metrics" / f"{name}.tsv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file, delimiter="\t")]
    except (OSError, KeyError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage cnn@{folder.name}") from error


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: list[str]) -> None:
    """Write rows as CSV; None is an empty cell."""
    with atomic(path, "w") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def tuning_rows(results: list[Result]) -> list[dict[str, Any]]:
    """Everything that was tried on val."""
    return [
        {"method": result.method.key, **{name: trial.get(name) for name in ("candidate", "val_error", "chosen")}}
        for result in results
        for trial in result.tuning
    ]
