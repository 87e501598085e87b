"""Fit every method in every fold; what is done is kept, so that a killed run goes on after its last fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import catalogue, progress
from pipeline.cross_validation.pool import Pool
from pipeline.errors import PipelineError
from pipeline.models.measured import Measured, forget_others, is_fusion, kept_in, measure, measure_fusion
from pipeline.models.recipe import Recipe
from pipeline.settings import Settings


@dataclass(frozen=True)
class CrossValidated:
    """Scores of every image by a model that had not seen it.

    Attributes:
        scores: by method, float32 (N, classes), in the order of the pool; comparable within an image, and not between
            images of different folds.
        failed: for each other method, why.
    """

    scores: dict[str, np.ndarray]
    failed: dict[str, str]


def cross_validate(settings: Settings, pool: Pool) -> CrossValidated:
    """Fit every selected method in every fold of the pool; a method that fails in one is left out and named."""
    recipes = _recipes(settings)
    folders = _folders(settings, pool)
    forget_others(set(folders.values()))
    if settings.compute.backend == "dask":
        from pipeline.cluster.spread import folds_side_by_side

        folds_side_by_side(settings.compute, [(key, number) for number in range(pool.count) for key in folders])
    shape = len(pool.images), len(pool.images.classes)
    scores = {recipe.key: np.zeros(shape, np.float32) for recipe in recipes}
    failed: dict[str, str] = {}
    for number in range(pool.count):
        data, test = pool.fold(number, settings.prepare.val_fraction, settings.seed)
        found: dict[str, Measured] = {}
        for recipe in recipes:
            if recipe.key in failed:
                continue
            title = _title(recipe, number, pool)
            try:
                if is_fusion(recipe.method):
                    found[recipe.key] = measure_fusion(recipe, found, data.val.labels)
                else:
                    folder = folders[recipe.key] / str(number)
                    found[recipe.key] = measure(recipe, data, test, settings.compute, folder, title)
            except PipelineError as error:
                failed[recipe.key] = f"{title}: {error}"
                progress.say(f"left out: {failed[recipe.key]}")
                continue
            scores[recipe.key][pool.folds == number] = found[recipe.key].test.scores
    return CrossValidated({key: values for key, values in scores.items() if key not in failed}, failed)


def fit_one(settings: Settings, pool: Pool, key: str, number: int) -> None:
    """Fit one method, which is no fusion, in one fold; `cross_validate` finds what was measured.

    Raises:
        PipelineError: it can't be fitted.
    """
    recipe = next(recipe for recipe in _recipes(settings) if recipe.key == key)
    data, test = pool.fold(number, settings.prepare.val_fraction, settings.seed)
    folder = _folders(settings, pool)[key] / str(number)
    measure(recipe, data, test, settings.compute, folder, _title(recipe, number, pool))


def _folders(settings: Settings, pool: Pool) -> dict[str, Path]:
    """Of each method but fusions, where its fits are kept."""
    key_of = {"seed": settings.seed, "pool": pool.fingerprint, "val_fraction": settings.prepare.val_fraction}
    return {
        recipe.key: kept_in("folds", recipe, settings.compute, **key_of)
        for recipe in _recipes(settings)
        if not is_fusion(recipe.method)
    }


def _title(recipe: Recipe, number: int, pool: Pool) -> str:
    return f"fold {number + 1} of {pool.count}: {recipe.method.title}"


def _recipes(settings: Settings) -> list[Recipe]:
    """Of all selected methods, fusions after their members."""
    return [
        Recipe.of(settings, key, family)
        for family, selected in catalogue.SELECTED_BY.items()
        for key in getattr(settings, selected)
    ]
