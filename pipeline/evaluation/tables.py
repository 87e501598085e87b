"""The tables and the data of plots that evaluation writes beside metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from pipeline.evaluation import metrics
from pipeline.evaluation.confidence import Confidence, percent
from pipeline.evaluation.results import Outcome, Result


def per_class(outcome: Outcome) -> list[dict[str, Any]]:
    """Top-1 test error in percent by class and method; empty where a class has no test image."""
    classes, labels = outcome.manifest["classes"], outcome.splits["test"].labels
    rows = []
    for result in outcome.results:
        errors = metrics.per_class_error(result.scores["test"], labels, len(classes))
        for name, error in zip(classes, errors, strict=True):
            percent = None if np.isnan(error) else round(100 * float(error), 4)
            rows.append({"method": result.method.key, "class": name, "error": percent})
    return rows


def guesses(outcome: Outcome, key: str) -> list[dict[str, Any]]:
    """True and guessed class of every test image by one method: DVC's confusion template counts them."""
    classes, labels = outcome.manifest["classes"], outcome.splits["test"].labels
    best = next(result for result in outcome.results if result.method.key == key)
    guessed = best.scores["test"].argmax(axis=1)
    return [
        {"actual": classes[truth], "predicted": classes[guess]} for truth, guess in zip(labels, guessed, strict=True)
    ]


def learning_curves(results: list[Result]) -> list[dict[str, Any]]:
    """Error in percent by network, epoch and split."""
    return [
        {
            "network": result.method.key,
            "split": split,
            "epoch": epoch,
            "error": round(100 * error, 4),
            "kept": split == "val" and epoch == result.best_epoch,
        }
        for result in _networks(results)
        for split in ("train", "val")
        for epoch, error in result.curve(f"{split}_error")
    ]


def gradients(results: list[Result]) -> list[dict[str, Any]]:
    """Size of each layer's gradient after the first and the kept epoch; `depth` runs from 0 (first layer) to 1."""
    rows = []
    for result in _networks(results):
        found = result.gradients()
        for when, epoch in (("first", 1), ("kept", result.best_epoch)):
            layers = [(layer, size) for layer, at, size in found if at == epoch]
            for number, (layer, size) in enumerate(layers):
                depth = number / max(1, len(layers) - 1)
                row = {"network": result.method.key, "when": when, "epoch": epoch, "number": number + 1}
                rows.append(row | {"layer": layer, "depth": round(depth, 4), "gradient": size})
    return rows


def tuning(results: list[Result]) -> list[dict[str, Any]]:
    """Everything that was tried on val."""
    columns = ("candidate", "value", "val_error", "chosen")
    return [
        {"method": result.method.key, **{name: trial.get(name) for name in columns}}
        for result in results
        for trial in result.tuning
    ]


def reliability(confidences: Mapping[str, Confidence]) -> list[dict[str, Any]]:
    """Do probabilities hold on test? In percent, bin by bin of the calibrated probability of the first guess.

    Columns: `start` and `end` of the bin, its number of `images`, their mean probability (`confidence`), the share of
    right guesses (`accuracy`) and its interval (`low`, `high`). The last four are empty in a bin without images.
    """
    rows = []
    for key, measured in confidences.items():
        for found in measured.bins:
            start, end, count, *shares = astuple(found)
            values = dict(zip(("confidence", "accuracy", "low", "high"), map(percent, shares), strict=True))
            rows.append({"method": key, "start": percent(start), "end": percent(end), "images": count} | values)
    return rows


def risk_coverage(confidences: Mapping[str, Confidence]) -> list[dict[str, Any]]:
    """Error among the surest test images, in percent; at most 100 points a method.

    Columns: the lowest probability that is answered (`threshold`), the share of images `answered` then, and the `error`
    among those. The last row of a method answers all: its top-1 error.
    """
    rows = []
    for key, measured in confidences.items():
        curve = measured.curve.thinned()
        for threshold, answered, error in zip(curve.threshold, curve.answered, curve.error, strict=True):
            values = {"threshold": threshold, "answered": answered, "error": error}
            rows.append({"method": key} | {name: percent(float(value)) for name, value in values.items()})
    return rows


def _networks(results: list[Result]) -> list[Result]:
    return [result for result in results if result.method.is_network]
