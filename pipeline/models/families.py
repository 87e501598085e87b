"""The families of methods: how each is fitted, and made again from what a folder keeps."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from pipeline.data.contract import TrainingData
from pipeline.models.fitted import Fitted
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute

FAMILIES: dict[str, str] = {
    "feature": "feature_svm",
    "matcher": "matcher",
    "fusion": "fusion",
    "network": "network",
    "pretrained": "pretrained_svm",
    "fine_tuned": "network",
}


def family_of(name: str) -> ModuleType:
    """A family's module, imported when it is wanted: a stage of one must not wait for what the others need."""
    return import_module(f"pipeline.models.{FAMILIES[name]}")


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Fit any method.

    Args:
        recipe: what, and how.
        data: train and val, any subset of the splits.
        compute: what the machine is used with.
        work: an empty folder of this fit alone, for what does not fit in memory.
    """
    fitted: Fitted = family_of(recipe.method.family).fit(recipe, data, compute, work)
    return fitted
