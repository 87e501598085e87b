"""Errors, and how certain they are."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes are scored above the truth, int (N,); 0 is a correct first guess.

    Of classes with equal scores the one with the lower index comes first, so constant scores are no free hits.

    Args:
        scores: (N, classes), larger is better.
        labels: int (N,).
    """
    truth = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    return np.asarray(((scores > truth) | ((scores == truth) & earlier)).sum(axis=1))


def top_k_error(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of images whose true class is not among the k best scored (ILSVRC's error), 0-1."""
    return float((ranks(scores, labels) >= k).mean())


def wilson_interval(wrong: float, count: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a share of `wrong` in `count` (Wilson, JASA 1927), 0-1.

    Unlike the normal approximation it stays inside 0-1 and is honest near both ends.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = wrong / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # At 0 and at `count` the bound is exactly 0 and 1; rounding must not say otherwise.
    low = 0.0 if wrong == 0 else max(0.0, centre - half)
    high = 1.0 if wrong == count else min(1.0, centre + half)
    return float(low), float(high)


def per_class_error(scores: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Top-1 error of each class, float (classes,); NaN for a class without images."""
    wrong = ranks(scores, labels) > 0
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.bincount(labels, weights=wrong, minlength=classes) / counts)


def confusion(scores: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts by true class (row) and first guess (column), int (classes, classes)."""
    guesses = scores.argmax(axis=1)
    return np.bincount(labels * classes + guesses, minlength=classes**2).reshape(classes, classes)
