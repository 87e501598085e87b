"""Which differences on the same images are more than luck."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest


def mcnemar(wrong_a: np.ndarray, wrong_b: np.ndarray) -> float:
    """Exact two-sided p-value that two methods err equally often (McNemar, Psychometrika 1947).

    Only images that exactly one of them gets wrong count: under equality each is a fair coin.

    Args:
        wrong_a, wrong_b: bool (N,), on the same images.
    """
    only_a = int((wrong_a & ~wrong_b).sum())
    only_b = int((wrong_b & ~wrong_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values for a family of tests (Holm, Scandinavian J. of Statistics 1979)."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for position, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = largest
    return [float(value) for value in adjusted]
