"""Errors in percent with their intervals, as metrics.json and cards hold them."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation import metrics

TOP_5_NEEDS = 6  # classes: with five, five guesses are always right


def errors_of(ranks: np.ndarray, classes: int, confidence: float) -> dict[str, float | None]:
    """Top-1 and top-5 error in percent with Wilson's intervals; top-5 is None with fewer than six classes.

    Args:
        ranks: int (N,), of the true classes; see metrics.ranks.
    """
    errors: dict[str, float | None] = {}
    for k in (1, 5):
        applies = k == 1 or classes >= TOP_5_NEEDS
        wrong = int((ranks >= k).sum())
        low, high = metrics.wilson_interval(wrong, len(ranks), confidence)
        values = {"error": wrong / len(ranks), "low": low, "high": high}
        for name, value in values.items():
            errors[f"top{k}_{name}"] = round(100 * value, 4) if applies else None
    return errors


def balanced_of(ranks: np.ndarray, labels: np.ndarray, classes: int, confidence: float) -> dict[str, float]:
    """Balanced top-1 error in percent with its interval; see metrics.balanced_error."""
    found = metrics.balanced_error(ranks > 0, labels, classes, confidence)
    return {
        f"balanced_{name}": round(100 * value, 4) for name, value in zip(("error", "low", "high"), found, strict=True)
    }
