"""How far each method's guesses can be trusted: calibrated on val, measured on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation import calibration, metrics
from pipeline.evaluation.calibration import Calibration, Kind, calibrate
from pipeline.evaluation.reliability import (
    Answered,
    Bin,
    Curve,
    answered_at,
    expected_calibration_error,
    reliability_table,
    risk_coverage,
)
from pipeline.evaluation.results import Outcome

SURE = 0.9  # a guess with at least this probability counts as sure
AT_LEAST = f"at_least_{SURE}"  # the key in metrics.json
ROWS = 4096  # at once: with 1,000 classes, probabilities of a whole test set would take gigabytes


@dataclass(frozen=True)
class Confidence:
    """One method's probabilities.

    Attributes:
        calibration: fitted on val.
        ece_before: expected calibration error on test of the softmax of the scores as they are, 0-1.
        ece_after: the same of the calibrated probabilities, like all that follows.
        bins: of the reliability diagram.
        curve: error against the share answered.
        sure: what is answered with a probability of at least SURE.
    """

    calibration: Calibration
    ece_before: float
    ece_after: float
    bins: list[Bin]
    curve: Curve
    sure: Answered


def of_all(outcome: Outcome, level: float) -> dict[str, Confidence]:
    """Of each method, by its key.

    Args:
        outcome: what lies in results/.
        level: of the intervals.
    """
    labels = {name: np.asarray(split.labels) for name, split in outcome.splits.items()}
    return {result.method.key: measure(result.scores, labels, level) for result in outcome.results}


def measure(scores: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], level: float) -> Confidence:
    """Calibrate on val, and see on test what the probabilities are worth; nothing is fitted to test.

    Args:
        scores: of val and test, float32 (N, classes).
        labels: of val and test, int (N,).
        level: of the intervals.
    """
    fitted = calibrate(scores["val"], labels["val"])
    right = metrics.ranks(scores["test"], labels["test"]) == 0
    before = _top(scores["test"], "temperature", 1.0, 0.0)
    top = _top(scores["test"], fitted.kind, fitted.slope, fitted.shift)
    return Confidence(
        calibration=fitted,
        ece_before=expected_calibration_error(before, right),
        ece_after=expected_calibration_error(top, right),
        bins=reliability_table(top, right, level),
        curve=risk_coverage(top, right),
        sure=answered_at(top, right, SURE, level),
    )


def described(confidence: Confidence) -> dict[str, Any]:
    """What metrics.json holds of it, shares in percent; slope and shift as they are, to be used with the scores."""
    fitted, sure = confidence.calibration, confidence.sure
    return {
        "kind": fitted.kind,
        "slope": fitted.slope,
        "shift": fitted.shift,
        "val_log_loss": {kind: round(loss, 6) for kind, loss in fitted.log_loss.items()},
        "val_ece": percent(fitted.ece),
        "ece_before": percent(confidence.ece_before),
        "ece_after": percent(confidence.ece_after),
        "aurc": percent(confidence.curve.area),
        AT_LEAST: {
            "answered": percent(sure.share),
            "error": percent(sure.error),
            "low": percent(sure.low),
            "high": percent(sure.high),
        },
    }


def percent(share: float | None) -> float | None:
    """A share in percent; None stays None."""
    return None if share is None else round(100 * share, 4)


def _top(scores: np.ndarray, kind: Kind, slope: float, shift: float) -> np.ndarray:
    """The probability of each image's first guess, float64 (N,)."""
    parts = [scores[start : start + ROWS] for start in range(0, len(scores), ROWS)]
    return np.concatenate([calibration.probabilities(part, kind, slope, shift).max(axis=1) for part in parts])
