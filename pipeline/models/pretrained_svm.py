"""A feature learned from other images, and the linear SVM behind it; among several sizes of the images, val chooses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.data.contract import TrainingData
from pipeline.models import feature_svm
from pipeline.models.feature_svm import restore
from pipeline.models.fitted import Fitted
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute

__all__ = ["fit", "restore"]


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Vectors and SVM for each side that `features.side` lists; what val errs least on is kept, of equals the smallest.

    Args:
        work: an empty folder for vectors.
    """
    recipes = recipe.at_each_side()
    if len(recipes) == 1:
        return feature_svm.fit(recipes[0], data, compute, work)
    kept: _Tried | None = None
    trials, seconds = [], 0.0
    for one in recipes:
        folder = work / f"side-{one.settings.features.side}"
        learned = feature_svm.learn(one, data, compute, folder)
        tried = _Tried(one, learned, _classifier(replace(one, refit=False), learned, data, compute), folder)
        trials.append(tried.trials())
        seconds += tried.fitted.training_seconds
        better = kept is None or tried.val_error < kept.val_error
        kept, worse = (tried, kept) if better else (kept, tried)
        if worse is not None:
            shutil.rmtree(worse.folder, ignore_errors=True)
    assert kept is not None
    fitted = kept.fitted
    if recipe.refit:  # the SVM again, which is short beside the vectors
        fitted = _classifier(kept.recipe, kept.learned, data, compute)
        seconds += fitted.training_seconds - kept.learned.seconds
    chosen = recipes.index(kept.recipe)
    listed = [
        trial | {"chosen": trial["chosen"] and number == chosen} for number, some in enumerate(trials) for trial in some
    ]
    return replace(fitted, trials=listed, training_seconds=seconds)


@dataclass(frozen=True)
class _Tried:
    """One side."""

    recipe: Recipe
    learned: feature_svm.Learned
    fitted: Fitted
    folder: Path

    @property
    def val_error(self) -> float:
        return next(float(trial["val_error"]) for trial in self.fitted.trials if trial["chosen"])

    def trials(self) -> list[dict[str, Any]]:
        side = self.recipe.settings.features.side
        return [trial | {"candidate": f"{side} pixels, {trial['candidate']}"} for trial in self.fitted.trials]


def _classifier(recipe: Recipe, learned: feature_svm.Learned, data: TrainingData, compute: Compute) -> Fitted:
    return feature_svm.fit_classifier(recipe, learned.codebook, learned.vectors, data, compute, learned.seconds)
