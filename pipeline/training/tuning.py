"""Choose the learning rate on val, then train in full; what is done already is not done again."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pipeline import progress
from pipeline.files import write_json
from pipeline.settings import Training
from pipeline.training.loop import Advance, Diverged, Progress, Watch, error_of_guessing, fit, unwatched
from pipeline.training.pace import Pace
from pipeline.training.tasks import Task


@dataclass(frozen=True)
class Trained:
    """A network with how it came about.

    Attributes:
        network: its best snapshot on val.
        history: epoch by epoch.
        tuning: what was tried, for tuning.json.
        seconds: of all tries and of the training, those of interrupted runs included.
        final_seconds: of the training alone.
    """

    network: nn.Module
    history: Progress
    tuning: list[dict[str, Any]]
    seconds: float
    final_seconds: float


def tune_and_train(title: str, task: Task, settings: Training, work: Path, watch: Watch = unwatched) -> Trained:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch.

    Args:
        title: of the progress bar.
        work: the folder for checkpoints.
        watch: called after each epoch of the full training.

    Raises:
        Diverged: with every learning rate.
    """
    rates = sorted(settings.learning_rates)
    first = task.processes.first
    clock, final_clock = _Clock(work / "seconds.json"), None
    trials = len(rates) * settings.trial_epochs
    epoch = Pace.of(settings, len(task.train)).images_an_epoch
    with progress.bar(title, (trials + settings.epochs) * epoch) as bar:

        def advance(count: int, note: str) -> None:
            bar.advance(count)
            if note and first:
                bar.note(note)
                clock.save()
                if final_clock is not None:
                    final_clock.save()

        tuning = _try_rates(task, settings, rates, work / "trials.json", advance)
        ranked = sorted(tuning, key=lambda trial: (trial["val_error"], trial["val_loss"]))
        final_clock = _Clock(work / "final_seconds.json")
        network, history, best = _train_with_the_best(task, settings, ranked, work, advance, watch)
    for trial in tuning:
        trial["chosen"] = trial is best
    return Trained(network, history, tuning, clock.total(), final_clock.total())


def train_again(
    title: str, task: Task, settings: Training, trained: Trained, work: Path
) -> tuple[nn.Module | None, float]:
    """Train from the start on other images, with the rate and up to the epoch that were chosen: nothing is chosen.

    The learning rate rises and falls as it did, over all epochs; a killed run goes on after its last epoch.

    Args:
        title: of the progress bar.
        task: its val is looked at, and decides nothing.
        trained: what was chosen.
        work: the folder for its checkpoint.

    Returns:
        the network, or None where the rate that was chosen is too high on these images, which the list of tries then
        says; and the seconds that it took.
    """
    trial = next(trial for trial in trained.tuning if trial["chosen"])
    rate, until = trial["value"], trained.history.best_epoch
    clock = _Clock(work / f"again-{rate:g}-seconds.json")
    with progress.bar(title, until * Pace.of(settings, len(task.train)).images_an_epoch) as bar:

        def advance(count: int, note: str) -> None:
            bar.advance(count)
            if note and task.processes.first:
                clock.save()

        checkpoint = work / f"checkpoint-again-{rate:g}.pt"
        try:
            network, history = fit(task, settings, rate, settings.epochs, checkpoint, advance, until=until)
            before, after = (one.history[-1]["train_error"] for one in (trained.history, history))
            fate = "fell back to guessing" if after > error_of_guessing(task) >= before else ""
        except Diverged:
            fate = "diverged"
    if not fate:
        return network, clock.total()
    trial["candidate"] += f", {fate} on train and val together, so the network of train alone is kept"
    progress.say(f"learning rate {rate:g} {fate} on train and val together; the network of train alone is kept")
    return None, clock.total()


def _train_with_the_best(
    task: Task, settings: Training, ranked: list[dict[str, Any]], work: Path, advance: Advance, watch: Watch
) -> tuple[nn.Module, Progress, dict[str, Any]]:
    """Train in full with the best rate; one that survived its trial may still fail, then it is the next one's turn."""
    kept: tuple[nn.Module, Progress, dict[str, Any]] | None = None
    for trial in ranked:
        checkpoint = work / f"checkpoint-{trial['value']:g}.pt"
        try:
            network, history = fit(task, settings, trial["value"], settings.epochs, checkpoint, advance, watch)
        except Diverged:
            if trial is ranked[-1] and kept is None:
                raise
            fate = "diverged"
        else:
            if kept is None or history.best_error < kept[1].best_error:
                kept = network, history, trial
            if not history.gave_up:
                break
            fate = "fell back to guessing"
        trial["candidate"] += f", {fate} in full training"
        progress.say(f"learning rate {trial['value']:g} {fate} in full training; going on with the next best, if any")
    assert kept is not None
    return kept


def _try_rates(
    task: Task, settings: Training, rates: list[float], path: Path, advance: Advance
) -> list[dict[str, Any]]:
    """A try for each rate; those of a run before, of this list or another, are not tried again."""
    try:
        before = {trial["value"]: trial for trial in json.loads(path.read_text())}
    except (OSError, ValueError):
        before = {}
    tried = dict(before)
    for rate in rates:
        if rate in before:
            images = settings.trial_epochs * Pace.of(settings, len(task.train)).images_an_epoch
            advance(images, f"learning rate {rate:g}: tried before")
            continue
        tried[rate] = _try(task, settings, rate, advance)
        if task.processes.first:
            write_json(path, list(tried.values()))
    return [tried[rate] for rate in rates]


def _try(task: Task, settings: Training, rate: float, advance: Advance) -> dict[str, Any]:
    try:
        _, found = fit(task, settings, rate, settings.trial_epochs, None, advance)
        error, loss = found.best_error, found.best_loss
    except Diverged:
        error, loss = 1.0, 1e9
    if not math.isfinite(error):
        error, loss = 1.0, 1e9
    epochs = "1 epoch" if settings.trial_epochs == 1 else f"{settings.trial_epochs} epochs"
    name = f"learning rate {rate:g} for {epochs}"
    return {"candidate": name, "value": rate, "val_error": error, "val_loss": loss}


class _Clock:
    """Seconds of work, those of interrupted runs included."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.perf_counter()
        try:
            self._before = float(json.loads(path.read_text()))
        except (OSError, ValueError):
            self._before = 0.0

    def total(self) -> float:
        return self._before + time.perf_counter() - self._started

    def save(self) -> None:
        write_json(self._path, self.total())
