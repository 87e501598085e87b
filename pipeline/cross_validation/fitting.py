"""Fit every method in every fold; what is done is kept, so that a killed run goes on after its last fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import progress
from pipeline.cross_validation.pool import Pool
from pipeline.data.contract import Split, TrainingData
from pipeline.device import pick_device
from pipeline.errors import PipelineError
from pipeline.evaluation.scores import check
from pipeline.files import read_arrays, write_arrays
from pipeline.models.families import fit
from pipeline.models.fusion import fit_on_looks, look_together
from pipeline.models.look import look_at
from pipeline.models.model import Facts, Look
from pipeline.models.recipe import Recipe
from pipeline.settings import Settings
from pipeline.workfolder import work_folder

PACKAGE = Path(__file__).parents[1]
#: What scores depend on; shared by all families, since a fit of a small set takes seconds.
CODE = ("augmentation", "classifiers", "descriptors", "encoding", "features", "models", "networks", "training")
NOTHING = Facts(0, 0, None, "", "", 0)  # a fusion's cost is not asked for here


@dataclass(frozen=True)
class Scored:
    """What a method found in the val and the test of one fold."""

    val: Look
    test: Look


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
    folders = {recipe.key: _folder(recipe, pool, settings) for recipe in recipes if not _is_fusion(recipe)}
    _forget_others(set(folders.values()))
    shape = len(pool.labels), len(pool.classes)
    scores = {recipe.key: np.zeros(shape, np.float32) for recipe in recipes}
    failed: dict[str, str] = {}
    for number in range(pool.count):
        data, test = pool.fold(number, settings.prepare.val_fraction, settings.seed)
        found: dict[str, Scored] = {}
        for recipe in recipes:
            if recipe.key in failed:
                continue
            title = f"fold {number + 1} of {pool.count}: {recipe.method.title}"
            try:
                if _is_fusion(recipe):
                    found[recipe.key] = _fuse(recipe, found, data)
                else:
                    found[recipe.key] = _fitted(recipe, data, test, settings, folders[recipe.key] / str(number), title)
            except PipelineError as error:
                failed[recipe.key] = f"{title}: {error}"
                progress.say(f"left out: {failed[recipe.key]}")
                continue
            scores[recipe.key][pool.folds == number] = found[recipe.key].test.scores
    return CrossValidated({key: values for key, values in scores.items() if key not in failed}, failed)


def _is_fusion(recipe: Recipe) -> bool:
    return recipe.method.family == "fusion"


def _recipes(settings: Settings) -> list[Recipe]:
    """Of all selected methods, fusions after their members."""
    chosen = {
        "feature": settings.features,
        "matcher": settings.matchers,
        "fusion": settings.fusions,
        "network": settings.networks,
    }
    return [Recipe.of(settings, key, family) for family, keys in chosen.items() for key in keys]  # type: ignore[arg-type]


def _folder(recipe: Recipe, pool: Pool, settings: Settings) -> Path:
    return work_folder(
        f"folds/{recipe.key}",
        [*(PACKAGE / name for name in CODE), PACKAGE / "randomness.py"],
        settings=recipe.settings_as_json(),
        allowed=recipe.allowed.model_dump(),
        copies=recipe.copies,
        views=recipe.views,
        seed=recipe.seed,
        pool=pool.fingerprint,
        val_fraction=settings.prepare.val_fraction,
        device=pick_device(settings.compute.device).type,
    )


def _forget_others(kept: set[Path]) -> None:
    """Remove what earlier runs with other images or settings left."""
    for folder in next(iter(kept)).parent.iterdir() if kept and next(iter(kept)).parent.is_dir() else ():
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _fitted(recipe: Recipe, data: TrainingData, test: Split, settings: Settings, folder: Path, title: str) -> Scored:
    """Fit and score one method in one fold, or read what an earlier run did."""
    kept = folder.with_suffix(".npz")
    if kept.is_file():
        return _read(kept)
    progress.say(title)
    if recipe.method.family != "network":  # a network goes on after its last epoch
        shutil.rmtree(folder, ignore_errors=True)
    done = fit(recipe, data, settings.compute, folder)
    seen = look_at(done, test.images)
    check(seen.scores, len(test), len(data.classes), title)
    scored = Scored(Look(done.val_scores, done.val_strangeness, 0.0), seen)
    _write(kept, scored)
    shutil.rmtree(folder, ignore_errors=True)
    return scored


def _fuse(recipe: Recipe, found: Mapping[str, Scored], data: TrainingData) -> Scored:
    members = {member.key: found.get(member.key) for member in recipe.settings}
    there = {key: one for key, one in members.items() if one is not None}
    if len(there) < len(members):
        missing = ", ".join(key for key in members if key not in there)
        raise PipelineError(f"it needs {missing}, which failed")
    costs = dict.fromkeys(there, NOTHING)
    done = fit_on_looks({key: one.val for key, one in there.items()}, costs, data.val.labels, 0.0)
    test = look_together(done.model, done.familiarity, {key: one.test for key, one in there.items()})  # type: ignore[arg-type]
    return Scored(Look(done.val_scores, done.val_strangeness, 0.0), test)


def _write(path: Path, scored: Scored) -> None:
    arrays = {
        f"{split}_{name}": getattr(getattr(scored, split), name)
        for split in ("val", "test")
        for name in ("scores", "strangeness")
    }
    write_arrays(path, **arrays)


def _read(path: Path) -> Scored:
    arrays = read_arrays(path, "folds")
    looks: Iterator[Look] = (
        Look(arrays[f"{split}_scores"], arrays[f"{split}_strangeness"], 0.0) for split in ("val", "test")
    )
    return Scored(*looks)
