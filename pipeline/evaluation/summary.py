"""All scores → metrics.json: errors in percent with intervals, calibration, costs, and which ranks are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import catalogue, layout
from pipeline.errors import PipelineError
from pipeline.evaluation import metrics, over_seeds, robustness, significance
from pipeline.evaluation.confidence import AT_LEAST, SURE, Confidence, described
from pipeline.evaluation.cross_validated import cross_validated
from pipeline.evaluation.curves.described import described as described_curves
from pipeline.evaluation.error_rates import balanced_of, errors_of
from pipeline.evaluation.results import Outcome
from pipeline.evaluation.scores import Cost
from pipeline.files import read_json
from pipeline.settings import Settings

VERSION = 9  # of metrics.json
SKEWED = 1.5  # images of the largest class for one of the smallest: from then on balanced errors are shown


def summarise(settings: Settings, outcome: Outcome, confidences: Mapping[str, Confidence]) -> dict[str, Any]:
    """What metrics.json holds.

    Errors on test are means over seeds where there are several (`seeds`); all else is of the seed of the results.
    `place`: the first and the last place that a method may have, as far as paired tests can tell (significance.py);
    null for one whose weights learned from images of this data set, which is compared with none.
    `tied_with_best`: no test tells it from the method with the lowest test error among those that have a place.
    `calibration`: what its probabilities are worth (confidence.py), in percent.
    `learned_from`: of a method whose features were learned from other images, which ones.

    Args:
        settings: of params.yaml.
        outcome: what lies in results/.
        confidences: of each method, by its key.
    """
    confidence, classes = settings.evaluation.confidence, len(outcome.manifest["classes"])
    val, test = outcome.splits["val"].labels, outcome.splits["test"].labels
    runs = over_seeds.runs_of(outcome, settings.seed)
    saw = {key for key in settings.from_elsewhere if _saw_these(settings, key)}
    standings = significance.standings({key: one.wrong for key, one in runs.items()}, confidence, saw)
    methods = {}
    for result in outcome.results:
        key = result.method.key
        on_val = metrics.ranks(result.scores["val"], val)
        methods[key] = {
            "year": result.method.year,
            "era": result.method.era,
            "val": {**errors_of(on_val, classes, confidence), **balanced_of(on_val, val, classes, confidence)},
            "test": over_seeds.errors_on_test(runs[key], test, classes, confidence),
            **asdict(standings[key]),
            "calibration": described(confidences[key]),
            "cost": _cost(result.cost),
            "learned_from": _learned_from(settings, key),
        }
    return {
        "version": VERSION,
        "dataset": settings.dataset,
        "budget": settings.budget,
        "seed": settings.seed,
        "confidence": confidence,
        "classes": classes,
        "class_sizes": class_sizes(outcome),
        "images": {name: split["count"] for name, split in outcome.manifest["splits"].items()},
        "fingerprints": {name: split["fingerprint"] for name, split in outcome.manifest["splits"].items()},
        "methods": methods,
        "failed": outcome.failed,
        "seeds": over_seeds.described(runs, classes),
        "robustness": robustness.described(outcome.robustness, methods, confidence, settings.robustness.reference),
        "cross_validation": cross_validated(outcome.folds, confidence, saw),
        "curve": described_curves(
            outcome.curves,
            classes,
            confidence,
            settings.seed,
            saw=saw,
        ),
    }


def _learned_from(settings: Settings, key: str) -> dict[str, Any] | None:
    """Which other images a method learned from, under which licence, and whether images like these were among them."""
    if not _elsewhere(key):
        return None
    weights = settings.weights_of(key)
    return {
        "images": weights.learned_from,
        "licence": weights.licence,
        "citation": weights.citation,
        "saw_these": _saw_these(settings, key),
    }


def _elsewhere(key: str) -> bool:
    """Whether a method learned from other images before."""
    return catalogue.BY_KEY[key].era == "pretrained"


def _saw_these(settings: Settings, key: str) -> bool:
    """Whether a method's weights learned from images of the chosen data set, as `saw` or an earlier run's card says."""
    weights = settings.weights_of(key)
    folder = layout.WEIGHTS / weights.file
    if settings.dataset in weights.saw or not folder.is_dir():
        return settings.dataset in weights.saw
    from pipeline.models.folder import read_card

    card, wanted = read_card(folder), settings.prepare.classes
    return card.dataset == settings.dataset and (wanted is None or not set(wanted).isdisjoint(card.classes))


def class_sizes(outcome: Outcome) -> dict[str, Any]:
    """How unequal the classes are.

    Returns:
        `ratio`: images of the largest class of train for one of its smallest; `skewed`: whether it is more than 1.5;
        `majority`: train's largest class, and in percent the error of guessing it always, on val and test.
    """
    sizes = outcome.manifest["splits"]["train"]["per_class"]
    largest = int(np.argmax(sizes))
    ratio = max(sizes) / max(1, min(sizes))
    errors = {name: round(100 * float((split.labels != largest).mean()), 4) for name, split in outcome.splits.items()}
    majority = {"class": outcome.manifest["classes"][largest], **errors}
    return {"ratio": round(ratio, 4), "skewed": ratio > SKEWED, "majority": majority}


def read_summary(path: Path) -> dict[str, Any]:
    """Read a metrics.json.

    Raises:
        PipelineError: it can't be read, or another version of this project wrote it.
    """
    return checked(read_json(path, "evaluate"), str(path))


def checked(summary: Any, where: str) -> dict[str, Any]:
    """What was read from a metrics.json, if this version of the project wrote it.

    Raises:
        PipelineError: it is another's.
    """
    if not isinstance(summary, dict) or summary.get("version") != VERSION:
        raise PipelineError(f"{where}: was written by another version of this project; rerun the stage evaluate")
    return summary


def headline(summary: Mapping[str, Any]) -> dict[str, float]:
    """Top-1 test errors by method: the columns of `dvc exp show` and the rows of `dvc metrics diff`."""
    return {key: values["test"]["top1_error"] for key, values in summary["methods"].items()}


def by_seed(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method and seed; none where each method has one seed."""
    return [
        {
            "method": key,
            "seed": int(seed),
            "test_top1_error": error,
            "test_top5_error": method["test_top5"][seed],
            "val_top1_error": method["val"][seed],
            "training_seconds": method["train_seconds"][seed],
        }
        for key, method in (summary["seeds"] or {"methods": {}})["methods"].items()
        for seed, error in method["test"].items()
    ]


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


def leaderboard(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method, best test error first; behind all others those without a place, which saw such images."""
    rows = [
        {
            "method": key,
            "title": titled(key, values["cost"]["views"]),
            "year": values["year"],
            "era": values["era"],
            **{f"test_{name}": value for name, value in values["test"].items()},
            **{f"val_{name}": value for name, value in values["val"].items()},
            "first_place": values["place"] and values["place"][0],
            "last_place": values["place"] and values["place"][1],
            "tied_with_best": values["tied_with_best"],
            "ece": values["calibration"]["ece_after"],
            f"answered_at_{SURE}": values["calibration"][AT_LEAST]["answered"],
            **values["cost"],
        }
        for key, values in summary["methods"].items()
    ]
    return sorted(rows, key=lambda row: (row["first_place"] is None, row["test_top1_error"]))


def titled(key: str, views: int) -> str:
    """A method's name, with the number of views where it scored more than the image itself."""
    title = catalogue.BY_KEY[key].title
    return title if views == 1 else f"{title}, {views} views"
