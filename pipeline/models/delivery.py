"""What every method leaves when it is fitted: test scored once, the score contract's files, and the model's folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import layout
from pipeline.data.contract import Split, TrainingData, load_manifest, load_split, load_training_data
from pipeline.evaluation import metrics
from pipeline.evaluation.calibration import calibrate
from pipeline.evaluation.environment import versions
from pipeline.evaluation.error_rates import errors_of
from pipeline.evaluation.scores import Cost, write_result
from pipeline.models.card import Costs, Errors, Unlike
from pipeline.models.familiarity import Familiarity
from pipeline.models.fitted import Fitted
from pipeline.models.folder import save
from pipeline.models.look import look_at
from pipeline.models.model import Look
from pipeline.models.recipe import Recipe

CONFIDENCE = 0.95  # of the intervals on a card; the report's are a setting
WARM_UP = 16  # images that are scored before time is taken: kernels compile on their first use


@dataclass(frozen=True)
class Prepared:
    """A prepared data set: what a stage that fits a method reads."""

    manifest: dict[str, Any]
    data: TrainingData
    test: Split

    @staticmethod
    def read(folder: Path = layout.DATA) -> Prepared:
        """As prepare left it."""
        return Prepared(load_manifest(folder), load_training_data(folder), load_split("test", folder))


def score_test(fitted: Fitted, test: Split) -> Look:
    """Score test, from pixels to scores, the one time that it is scored."""
    fitted.model.see(np.asarray(test.images[:WARM_UP]))
    return look_at(fitted, test.images)


def deliver(recipe: Recipe, budget: str, fitted: Fitted, prepared: Prepared, test: Look) -> None:
    """Write results/<family>/<method>/ and models/<method>/ anew.

    Raises:
        PipelineError: a score is NaN or infinite, or the disk refuses.
    """
    cost = Cost(
        training_seconds=fitted.training_seconds,
        prediction_seconds=test.seconds / len(prepared.test),
        **asdict(fitted.model.facts()),
        tuning_seconds=fitted.tuning_seconds,
    )
    scores = {"val": fitted.val_scores, "test": test.scores}
    splits = {"val": prepared.data.val, "test": prepared.test}
    strangeness = {"val": fitted.val_strangeness, "test": test.strangeness}
    folder = layout.results_of(recipe.method.family, recipe.key)
    write_result(folder, scores, splits, cost, fitted.trials, strangeness)
    card = _card(recipe, budget, cost, scores, splits, prepared.manifest, fitted.familiarity)
    save(layout.model_of(recipe.key), fitted.model, fitted.familiarity, card)


def _card(
    recipe: Recipe,
    budget: str,
    cost: Cost,
    scores: dict[str, np.ndarray],
    splits: dict[str, Split],
    manifest: dict[str, Any],
    familiarity: Familiarity,
) -> dict[str, Any]:
    method = recipe.method
    kept = ("parameters", "multiply_adds", "device", "precision", "threads", "views")
    return {
        "method": method.key,
        "title": method.title,
        "year": method.year,
        "era": method.era,
        "classes": manifest["classes"],
        "image": manifest["intake"],
        "dataset": manifest["dataset"],
        "description": manifest["description"],
        "licence": manifest["licence"],
        "fingerprints": {name: split["fingerprint"] for name, split in manifest["splits"].items()},
        "images": {name: split["count"] for name, split in manifest["splits"].items()},
        "budget": budget,
        "seed": recipe.seed,
        "settings": recipe.settings_as_json(),
        "allowed": recipe.allowed,
        "copies": recipe.copies,
        "views": recipe.views,
        "refit": recipe.refit,
        "members": [member.key for member in recipe.settings] if method.family == "fusion" else [],
        "errors": {name: _errors(scores[name], split.labels) for name, split in splits.items()},
        "confidence": CONFIDENCE,
        "calibration": calibrate(scores["val"], splits["val"].labels).as_dict(),
        "unlike": Unlike(above=familiarity.threshold, false_alarms=familiarity.false_alarms),
        "cost": Costs(
            training_seconds=cost.training_seconds,
            prediction_ms=1000 * cost.prediction_seconds,
            **{name: getattr(cost, name) for name in kept},
        ),
        "versions": versions(),
    }


def _errors(scores: np.ndarray, labels: np.ndarray) -> Errors:
    return Errors.model_validate(errors_of(metrics.ranks(scores, labels), scores.shape[1], CONFIDENCE))
