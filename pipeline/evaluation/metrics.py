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


def wilson_interval(wrong: float, count: float, confidence: float) -> tuple[float, float]:
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


def balanced_error(
    wrong: np.ndarray, labels: np.ndarray, classes: int, confidence: float
) -> tuple[float, float, float]:
    """The mean of the classes' errors, each class counting the same, and its interval, 0-1.

    The interval is Wilson's for as many images as would give the mean's variance if they were drawn without regard to
    class (Korn & Graubard, Survey Methodology 1998), fewer where a small class decides the variance, which is then
    itself uncertain (Student's t with Satterthwaite's degrees of freedom). Each class's variance is that of Jeffreys'
    estimate, so that a class with no error among few images is not taken for certain.

    Args:
        wrong: bool (N,).
        labels: int (N,).
        classes: how many; those without images count nowhere.

    Returns:
        Error, low, high.
    """
    from scipy.special import stdtrit

    counts = np.bincount(labels, minlength=classes)
    errors = np.bincount(labels, weights=wrong, minlength=classes)[counts > 0]
    counts = counts[counts > 0]
    smooth = (errors + 0.5) / (counts + 1)
    variances = smooth * (1 - smooth) / counts
    freedom = max(1.0, float(variances.sum() ** 2 / (variances**2 / np.maximum(counts - 1, 1)).sum()))
    widening = NormalDist().inv_cdf(0.5 + confidence / 2) / float(stdtrit(freedom, 0.5 + confidence / 2))
    mean, middle = float((errors / counts).mean()), float(smooth.mean())
    as_many = middle * (1 - middle) * len(counts) ** 2 / float(variances.sum())
    effective = min(as_many, float(counts.sum())) * widening**2
    low, high = wilson_interval(mean * effective, effective, confidence)
    return mean, low, high


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
