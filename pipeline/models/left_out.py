"""A method whose weights can't be had: its folders say so, all other methods run on, and the next run tries again."""

import shutil
from pathlib import Path

from pipeline import layout, progress
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.files import write_json
from pipeline.models.recipe import Recipe


def leave_out(recipe: Recipe, why: str) -> None:
    """Say so, and leave a note in the place of results and of the model."""
    progress.say(f"{recipe.method.title} is left out, and the next run tries again: {why}")
    for folder in _folders(recipe):
        shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / UNAVAILABLE, {"why": why})


def take_in(recipe: Recipe) -> None:
    """Remove what an earlier run may have left of that."""
    for folder in _folders(recipe):
        (folder / UNAVAILABLE).unlink(missing_ok=True)


def _folders(recipe: Recipe) -> tuple[Path, Path]:
    """What the method's stage leaves."""
    return layout.results_of(recipe.method.family, recipe.key), layout.model_of(recipe.key)
