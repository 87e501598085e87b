"""One linear SVM per candidate of C and positive weight; the solution with the lowest error on val is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline import progress
from pipeline.classifiers.linear_svm import LinearSVM, Solver
from pipeline.classifiers.products import Products
from pipeline.classifiers.selection import Selection
from pipeline.classifiers.vectors import Scaling, Vectors
from pipeline.evaluation.metrics import top_k_error
from pipeline.settings import Svm


def fit_svm(
    title: str,
    train: Vectors,
    labels: np.ndarray,
    classes: int,
    settings: Svm,
    val_scores: Callable[[LinearSVM], np.ndarray],
    val_labels: np.ndarray,
    scaling: Scaling,
    device: torch.device,
    workers: int,
    multiply: Products | None = None,
) -> tuple[LinearSVM, list[dict[str, Any]]]:
    """Fit all candidates, each starting where the last one ended.

    Args:
        title: of the progress bar.
        train: N vectors.
        labels: int (N,).
        val_scores: scores of val's images by a solution, float32 (n, classes).
        val_labels: int (n,).
        scaling: of the vectors, measured on train.
        multiply: products with train's vectors; None: computed here.

    Returns:
        the solution kept, and what was tried, for tuning.json.
    """
    solver = Solver(train, labels, classes, scaling, device, workers, multiply)
    selection = Selection(lambda model: top_k_error(val_scores(model), val_labels, 1), settings.patience)
    with progress.bar(title, None, unit="Newton steps") as bar:
        for candidate in settings.candidates:
            selection.begin(_name(candidate))
            _fit(solver, candidate, settings.tolerance, selection, bar)
            bar.note(f"{_name(candidate)}: val error {selection.trials[-1].val_error:.1%}")
    assert selection.best is not None
    return selection.best, _trials(settings.candidates, selection)


def refit_svm(
    title: str,
    vectors: Vectors,
    labels: np.ndarray,
    classes: int,
    settings: Svm,
    trials: list[dict[str, Any]],
    scaling: Scaling,
    device: torch.device,
    workers: int,
) -> LinearSVM:
    """Go the way again, on other vectors, that `fit_svm` went to the solution that it kept: nothing is chosen.

    Each candidate up to the chosen one gets as many steps as it had, and the chosen one those up to the solution that
    was kept.

    Args:
        vectors: N vectors, others than those that `trials` are of.
        trials: as `fit_svm` gave them.
        scaling: of the vectors.
    """
    solver = Solver(vectors, labels, classes, scaling, device, workers)
    chosen = next(number for number, trial in enumerate(trials) if trial["chosen"])
    with progress.bar(title, None, unit="Newton steps") as bar:
        for candidate, trial in zip(settings.candidates[: chosen + 1], trials, strict=False):
            last = trial["kept_step"] if trial["chosen"] else trial["steps"]
            model = _steps(solver, candidate, settings.tolerance, last, bar)
    return model


def _steps(solver: Solver, candidate: tuple[float, float], tolerance: float, last: int, bar: progress.Bar) -> LinearSVM:
    """At most so many steps, fewer where the optimum is nearer."""
    step = -1

    def go_on(model: LinearSVM) -> bool:
        nonlocal step
        step += 1
        bar.advance()
        bar.note(f"{_name(candidate)}: within {model.gap.max():.1%} of the optimum")
        return step < last

    return solver.solve(*candidate, tolerance, go_on=go_on)


def _fit(
    solver: Solver, candidate: tuple[float, float], tolerance: float, selection: Selection, bar: progress.Bar
) -> None:
    worth_it = True

    def go_on(model: LinearSVM) -> bool:
        nonlocal worth_it
        worth_it = selection.look(model)
        bar.advance()
        bar.note(f"{_name(candidate)}: within {model.gap.max():.1%} of the optimum")
        return worth_it

    model = solver.solve(*candidate, tolerance, go_on=go_on)
    if worth_it and model.gap.max() > tolerance:
        progress.say(
            f"{_name(candidate)}: stopped within {model.gap.max():.1%} of the optimum, not {tolerance:.1%}: "
            "more than that float32, or the number of steps, does not give"
        )


def _name(candidate: tuple[float, float]) -> str:
    c, weight = candidate
    return f"C={c:g}" if weight == 1 else f"C={c:g}, positives ×{weight:g}"


def _trials(candidates: list[tuple[float, float]], selection: Selection) -> list[dict[str, Any]]:
    return [
        {
            "candidate": trial.name,
            "value": c,
            "val_error": trial.val_error,
            "chosen": number == selection.best_trial,
            "kept_step": trial.kept_step,
            "steps": trial.steps - 1,
        }
        for number, ((c, _), trial) in enumerate(zip(candidates, selection.trials, strict=True))
    ]
