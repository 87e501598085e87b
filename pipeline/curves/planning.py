"""How long curves will take on this machine, from rates measured on it, before any of them starts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import catalogue
from pipeline.curves.fitting import Fit, Measuring
from pipeline.curves.subsets import Labelled
from pipeline.data.contract import Split, load_split
from pipeline.models.families import fit
from pipeline.models.recipe import Recipe
from pipeline.report.words import seconds as in_words
from pipeline.settings import Settings
from pipeline.training.pace import Pace

CALIBRATED_UP_TO = 2500  # images: what is fitted to tell how long others take; these fits are kept
STEPS = 6  # of an optimiser that are timed, after as many that are not


@dataclass(frozen=True)
class Planned:
    """The fits of one method to one number of images.

    Attributes:
        key: of the method; a fusion's members stand for themselves.
        size: labelled images.
        seeds: how many fits.
        kept: of these, how many were done before.
        seconds: of one fit, test scored.
    """

    key: str
    size: int
    seeds: int
    kept: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds of the fits that are not done yet."""
        return (self.seeds - self.kept) * self.seconds


def plan(settings: Settings, keys: Iterable[str]) -> list[Planned]:
    """What is to be fitted for these methods, each method once, and how long it will take."""
    labelled, test = Labelled.read(settings.curve.val_fraction), load_split("test")
    found: dict[str, list[Planned]] = {}
    for key in keys:
        measuring = Measuring.of(settings, key, labelled, test)
        for recipe in measuring.recipes:
            if recipe.key not in found and recipe.key in measuring.folders:
                found[recipe.key] = list(_plan_one(measuring, recipe))
    return [row for rows in found.values() for row in rows]


def say_plan(settings: Settings, keys: list[str]) -> None:
    """Print the plan as a table, with the total."""
    if settings.curve.sizes == []:
        print("`curve.sizes` names no size, so no curve will be measured")
        return
    rows = plan(settings, keys)
    print(f"{'method':<32}{'images':>9}{'fits':>6}{'done':>6}{'each':>10}{'left':>10}")
    for row in rows:
        title = catalogue.BY_KEY[row.key].title
        each, left = in_words(row.seconds), in_words(row.left) if row.left else "–"
        print(f"{title:<32}{row.size:>9,}{row.seeds:>6}{row.kept:>6}{each:>10}{left:>10}")
    total = sum(row.left for row in rows)
    print(f"In all {in_words(total)} on this machine. Fewer `curve.sizes`, `seeds` or `methods` take less.")


def _plan_one(measuring: Measuring, recipe: Recipe) -> Iterable[Planned]:
    fits = measuring.fits()
    network = recipe.method.is_network
    seconds = _of_network(measuring, recipe, fits) if network else _of_others(measuring, recipe, fits)
    for size in measuring.sizes():
        mine = [one for one in fits if one.size == size]
        kept = sum(_is_kept(measuring.folders[recipe.key], one) for one in mine)
        yield Planned(recipe.key, size, len(mine), kept, seconds[size])


def _is_kept(folder: Path, one: Fit) -> bool:
    return bool((folder / f"{one.size}-{one.seed}.npz").exists() if one.tuned else any(_untuned(folder, one)))


def _untuned(folder: Path, one: Fit) -> Iterable[Path]:
    return folder.glob(f"{one.size}-{one.seed}-as-*.npz")


def _of_others(measuring: Measuring, recipe: Recipe, fits: list[Fit]) -> dict[int, float]:
    """A line through one or two fits that are done now, and kept: codebook, vectors and SVM grow with the images."""
    seed = fits[0].seed
    tuned = sorted({one.size for one in fits if one.tuned and one.seed == seed})
    some = [size for size in tuned if size <= CALIBRATED_UP_TO] or tuned[:1]
    at = sorted({some[0], some[-1]})
    _warm_up(measuring, recipe, at[0], seed)
    found = [measuring.fit_one(replace(recipe, seed=seed), Fit(size, seed, tuned=True)) for size in at]
    training = np.array([one.price.training_seconds for one in found])
    slope, start = np.polyfit(at, training, 1) if len(at) > 1 else (training[0] / at[0], 0.0)
    return {size: found[-1].test.seconds + max(float(start + slope * size), 0.0) for size in measuring.sizes()}


def _warm_up(measuring: Measuring, recipe: Recipe, size: int, seed: int) -> None:
    """What compiles on its first use is no cost of a size."""
    with tempfile.TemporaryDirectory() as work:
        fit(recipe, measuring.labelled.draw(size, seed), measuring.settings.compute, Path(work))


def _of_network(measuring: Measuring, recipe: Recipe, fits: list[Fit]) -> dict[int, float]:
    """Steps are known beforehand, if nothing stops early; how long one takes is measured for each size of batch.

    What an epoch takes beside its steps (checkpoints, statistics of layers) comes from the smallest fit that val tunes,
    which is done now, and kept.
    """
    seed, looks = fits[0].seed, _seconds_a_look(measuring, recipe)
    steps: dict[int, float] = {}
    tuned = {size: any(one.tuned for one in fits if one.size == size) for size in measuring.sizes()}

    def training(size: int, tries: int) -> tuple[int, float]:
        """Epochs, tries included, and seconds of their steps and looks at val."""
        data = measuring.labelled.draw(size, seed)
        pace = Pace.of(recipe.settings, len(data.train))
        if pace.batch_size not in steps:
            steps[pace.batch_size] = _seconds_a_step(measuring, recipe, data, pace.batch_size)
        epochs = recipe.settings.epochs + tries * recipe.settings.trial_epochs
        seconds = epochs * (pace.steps_an_epoch * steps[pace.batch_size] + len(data.val) * looks)
        if recipe.refit:  # as long as the training, at most, and on more images
            again = recipe.settings.epochs
            more = 1 + len(data.val) / len(data.train)
            seconds += again * (more * pace.steps_an_epoch * steps[pace.batch_size] + len(data.val) * looks)
            epochs += again
        return epochs, seconds

    tries = len(recipe.settings.learning_rates)
    smallest = min(size for size in measuring.sizes() if tuned[size])
    done = measuring.fit_one(replace(recipe, seed=seed), Fit(smallest, seed, tuned=True))
    epochs, expected = training(smallest, tries)
    beside = max(0.0, (done.price.training_seconds - expected) / epochs)
    found = {}
    for size in measuring.sizes():
        epochs, expected = training(size, tries if tuned[size] else 1)
        found[size] = expected + epochs * beside + done.test.seconds
    return found


def _seconds_a_step(measuring: Measuring, recipe: Recipe, data: Any, batch_size: int) -> float:
    """Of the optimiser, on batches of this size."""
    from pipeline.training import loop
    from pipeline.training.memory import keep_freed_memory
    from pipeline.training.tasks import make_task

    keep_freed_memory()
    few = {"least_steps": 1, "least_batches": 1, "batch_size": batch_size, "epochs": 1}
    settings = recipe.settings.model_copy(update=few)
    images = min(STEPS * batch_size, len(data.train))
    some = Split("train", data.train.images[:images], data.train.labels[:images], data.train.ids[:images])
    compute = measuring.settings.compute
    task = make_task(recipe.key, settings, recipe.allowed, recipe.seed, replace(data, train=some), compute)
    run = loop.Run(task, settings, settings.learning_rates[0], 1)
    run.train_epoch(lambda count, note: None)  # what is made on first use is not timed
    started = time.perf_counter()
    run.train_epoch(lambda count, note: None)
    return (time.perf_counter() - started) / run.steps


def _seconds_a_look(measuring: Measuring, recipe: Recipe) -> float:
    """Of an image that is scored by the network."""
    from pipeline.models.network import Network
    from pipeline.training.tasks import make_task

    data = measuring.labelled.draw(measuring.sizes()[0], measuring.fits()[0].seed)
    task = make_task(recipe.key, recipe.settings, recipe.allowed, recipe.seed, data, measuring.settings.compute)
    network = task.build().to(task.device).eval()
    model = Network(recipe, network, data.image_shape, task.normalisation, task.device, task.precision)
    some = np.asarray(measuring.test.images[: 2 * model.batch])
    model.see(some[:8])
    started = time.perf_counter()
    for _ in model.batches(some):
        pass
    return (time.perf_counter() - started) / len(some)
