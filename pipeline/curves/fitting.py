"""Fit one method to many subsets from many seeds; what is done is kept, and a killed run goes on after its last fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import catalogue, progress
from pipeline.curves.kept import Point
from pipeline.curves.sizes import sizes_of
from pipeline.curves.subsets import Labelled
from pipeline.data.contract import Split, TrainingData
from pipeline.errors import PipelineError
from pipeline.evaluation import metrics
from pipeline.models.measured import (
    Measured,
    forget_others,
    is_fusion,
    kept_in,
    measure,
    measure_fusion,
    with_candidate,
)
from pipeline.models.recipe import Recipe
from pipeline.settings import Settings

TUNED_FROM = 10  # images of each class: below, val has too few to choose a hyper-parameter by, or when to stop


@dataclass(frozen=True)
class Fit:
    """One fit to come.

    Attributes:
        size: labelled images, train and val together.
        seed: of the subset and of all that is random in training.
        tuned: whether val chooses the hyper-parameter; else it is that of the next larger size.
    """

    size: int
    seed: int
    tuned: bool


@dataclass(frozen=True)
class Measuring:
    """All that the fits of one method share.

    Attributes:
        step: what they are for; the folder of what is kept, and the first word of what is said.
        recipes: of the method itself, or of its members and then of the fusion.
        folders: where each recipe's fits are kept; a fusion has none.
    """

    step: str
    settings: Settings
    labelled: Labelled
    test: Split
    recipes: list[Recipe]
    folders: dict[str, Path]

    @staticmethod
    def of(settings: Settings, key: str, labelled: Labelled, test: Split, step: str = "curve") -> Measuring:
        """For one method.

        Raises:
            PipelineError: it is not selected, or its settings are wrong.
        """
        recipe = Recipe.of(settings, key, catalogue.BY_KEY[key].family)
        recipes = [*recipe.settings, recipe] if is_fusion(recipe.method) else [recipe]
        images = labelled.images.fingerprint
        folders = {
            one.key: kept_in(step, one, settings.compute, images=images, val_fraction=labelled.val_fraction)
            for one in recipes
            if not is_fusion(one.method)
        }
        return Measuring(step, settings, labelled, test, recipes, folders)

    @property
    def key(self) -> str:
        """Of the method."""
        return self.recipes[-1].key

    def sizes(self) -> list[int]:
        """Ascending."""
        images = self.labelled.images
        return sizes_of(self.settings.curve, len(images), len(images.classes), self.settings.path)

    def fits(self) -> list[Fit]:
        """Of a curve, as they are done: of each seed the largest first, since smaller ones may need it."""
        curve, sizes = self.settings.curve, self.sizes()
        seeds = sorted({seed for size in sizes for seed in curve.seeds_at(size)})
        fewest = int(np.bincount(self.labelled.images.labels).min())
        found = []
        for seed in seeds:
            mine = [size for size in reversed(sizes) if seed in curve.seeds_at(size)]
            for number, size in enumerate(mine):
                in_smallest = size * fewest / len(self.labelled.images)  # images of the smallest class
                found.append(Fit(size, seed, tuned=in_smallest >= TUNED_FROM or number == 0))
        return found

    def keep(self) -> None:
        """Forget what other settings, images or code left of the same methods."""
        forget_others(set(self.folders.values()))

    def measure(self, one: Fit, larger: dict[str, Measured]) -> dict[str, Measured]:
        """Fit every recipe to one subset.

        Args:
            larger: what the next larger size of the seed gave, for each recipe.

        Raises:
            PipelineError: a fit fails.
        """
        scratch = next(iter(self.folders.values())) / f"images-{one.size}-{one.seed}"
        data = self.labelled.draw(one.size, one.seed, scratch)
        found: dict[str, Measured] = {}
        for recipe in self.recipes:
            title = f"{one.size:,} images, seed {one.seed}: {recipe.method.title}"
            if is_fusion(recipe.method):
                found[recipe.key] = measure_fusion(recipe, found, data.val.labels)
                continue
            found[recipe.key] = self._measure(recipe, one, data, larger.get(recipe.key), title)
        shutil.rmtree(scratch, ignore_errors=True)
        return found

    def fit_one(self, recipe: Recipe, one: Fit) -> Measured:
        """Fit one recipe to one subset, where val chooses."""
        title = f"{one.size:,} images, seed {one.seed}: {recipe.method.title}"
        return self._measure(recipe, one, self.labelled.draw(one.size, one.seed), None, title)

    def _measure(self, recipe: Recipe, one: Fit, data: TrainingData, larger: Measured | None, title: str) -> Measured:
        recipe, name = replace(recipe, seed=one.seed), f"{one.size}-{one.seed}"
        chosen = None if one.tuned or larger is None else larger.price.chosen
        if chosen is not None:
            recipe = with_candidate(recipe, chosen["number"], chosen["value"])
            name += f"-as-{chosen['number']}"
        found = measure(recipe, data, self.test, self.settings.compute, self.folders[recipe.key] / name, title)
        return found if chosen is None else replace(found, price=replace(found.price, chosen=chosen))


def measured(measuring: Measuring, fits: Sequence[Fit]) -> Iterator[Point]:
    """What one method reached in each fit; one that fails is a point that says why.

    Args:
        fits: of each seed the largest first.
    """
    key, labels = measuring.key, measuring.test.labels
    if measuring.settings.compute.backend == "dask":
        from pipeline.cluster.spread import fit_side_by_side

        fit_side_by_side(measuring, fits)
    larger: dict[str, Measured] = {}
    seed = None
    for number, one in enumerate(fits):
        if one.seed != seed:
            larger, seed = {}, one.seed
        progress.say(f"{measuring.step} {key}: fit {number + 1} of {len(fits)}")
        try:
            larger = measuring.measure(one, larger)
        except PipelineError as error:
            progress.say(f"left out: {one.size:,} images, seed {one.seed}: {error}")
            yield Point(one.size, one.seed, failed=str(error))
            continue
        yield _point(one, larger[key], labels)


def _point(one: Fit, found: Measured, labels: np.ndarray) -> Point:
    price = found.price
    return Point(
        one.size,
        one.seed,
        ranks=metrics.ranks(found.test.scores, labels).astype(np.uint16),
        val_error=found.val_error,
        val_images=len(found.val.scores),
        train_seconds=price.training_seconds,
        predict_ms=1000 * found.test.seconds / len(labels),
        bytes=price.bytes,
        steps=price.steps,
        chosen=price.chosen["candidate"] if price.chosen else "",
        tuned=one.tuned,
    )
