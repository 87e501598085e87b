"""Where methods fail: confusions, pairs of classes, hard classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation import metrics
from pipeline.evaluation.results import Outcome, Result
from pipeline.report.charts.base import Chart
from pipeline.report.charts.failures import classes_against, confusion

HEATMAP_UP_TO = 50  # classes
PAIRS = 8
HARDEST = 10


@dataclass(frozen=True)
class Failures:
    """The section's content.

    Attributes:
        confusion: of the best method; None with too many classes for a map.
        classes: error by class of one method against another; None with one method.
        counts: confusions of all methods for the page's script, by key; empty without a map.
        errors: test error in percent by class of all methods, by key.
        pairs: for each method the pairs of classes most often taken for each other.
        hardest: the classes with the highest mean error over the shown methods.
    """

    confusion: Chart | None
    classes: Chart | None
    counts: dict[str, list[list[int]]]
    errors: dict[str, list[float | None]]
    pairs: list[dict[str, Any]]
    hardest: list[dict[str, Any]]


def failures(outcome: Outcome, shown: list[Result], best: Result) -> Failures:
    """Gather it.

    Args:
        outcome: all results.
        shown: the method or two that the page compares at first.
        best: the method whose confusions are shown at first.
    """
    classes, labels = outcome.manifest["classes"], outcome.splits["test"].labels
    counts = {
        result.method.key: metrics.confusion(result.scores["test"], labels, len(classes)) for result in outcome.results
    }
    errors = {
        result.method.key: _percent(metrics.per_class_error(result.scores["test"], labels, len(classes)))
        for result in outcome.results
    }
    mapped = len(classes) <= HEATMAP_UP_TO
    first, last = shown[0].method, shown[-1].method
    return Failures(
        confusion=confusion(counts[best.method.key], classes, best.method.title, best.method.era) if mapped else None,
        classes=classes_against(errors[first.key], errors[last.key], classes, (first.title, last.title))
        if len(shown) > 1
        else None,
        counts={key: values.tolist() for key, values in counts.items()} if mapped else {},
        errors=errors,
        pairs=[
            {"title": result.method.title, "pairs": _pairs(counts[result.method.key], classes)}
            for result in outcome.results
        ],
        hardest=_hardest(errors, counts, shown, classes),
    )


def _percent(errors: np.ndarray) -> list[float | None]:
    return [None if np.isnan(error) else round(100 * float(error), 2) for error in errors]


def _pairs(counts: np.ndarray, classes: list[str]) -> list[dict[str, Any]]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    found = [(*np.unravel_index(flat, wrong.shape), int(wrong.flat[flat])) for flat in order]
    return [{"truth": classes[truth], "guess": classes[guess], "images": images}
            for truth, guess, images in found if images]  # fmt: skip


def _hardest(
    errors: dict[str, list[float | None]], counts: dict[str, np.ndarray], shown: list[Result], classes: list[str]
) -> list[dict[str, Any]]:
    keys = [result.method.key for result in shown]
    known = [label for label in range(len(classes)) if errors[keys[0]][label] is not None]
    mean = {label: float(np.mean([errors[key][label] for key in keys])) for label in known}
    rows = []
    for label in sorted(known, key=lambda label: -mean[label])[:HARDEST]:
        guesses = counts[keys[-1]][label].copy()
        guesses[label] = 0
        mistaken = classes[int(guesses.argmax())] if guesses.any() else "–"
        rows.append({"name": classes[label], "errors": [errors[key][label] for key in keys], "mistaken": mistaken})
    return rows
