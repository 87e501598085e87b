"""Which differences on the same images are more than luck."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy.special import bdtr

Place = tuple[int, int]


def mcnemar(wrong_a: np.ndarray, wrong_b: np.ndarray) -> float:
    """Exact two-sided p-value that two methods err equally often (McNemar, Psychometrika 1947).

    Only images that exactly one of them gets wrong count: under equality each is a fair coin.

    Args:
        wrong_a, wrong_b: bool (N,), on the same images.
    """
    only_a = int((wrong_a & ~wrong_b).sum())
    only_b = int((wrong_b & ~wrong_a).sum())
    # Both tails of a fair coin are alike, and in the middle they overlap.
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values for a family of tests (Holm, Scandinavian J. of Statistics 1979)."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for position, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = largest
    return [float(value) for value in adjusted]


def pairwise(wrong: Mapping[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """p-values that two methods err equally often, for all pairs both ways round: McNemar, adjusted by Holm.

    Args:
        wrong: bool (N,) for each method, on the same images.
    """
    pairs = list(combinations(wrong, 2))
    found = {}
    for (a, b), p in zip(pairs, holm([mcnemar(wrong[a], wrong[b]) for a, b in pairs]), strict=True):
        found[a, b] = found[b, a] = p
    return found


def places(
    wrong: Mapping[str, np.ndarray], p_values: Mapping[tuple[str, str], float], level: float
) -> dict[str, Place]:
    """The places that each method may have: behind all that surely err less, before all that surely err more.

    Since the p-values are adjusted, equals are told apart anywhere in the list with a probability of at most `level`.

    Args:
        wrong: bool (N,) for each method.
        p_values: of `pairwise`.
        level: below it a difference is no chance.
    """
    errors = {key: int(values.sum()) for key, values in wrong.items()}

    def surely_better(a: str, b: str) -> bool:
        return errors[a] < errors[b] and p_values[a, b] < level

    return {
        key: (
            1 + sum(surely_better(other, key) for other in wrong if other != key),
            len(wrong) - sum(surely_better(key, other) for other in wrong if other != key),
        )
        for key in wrong
    }
