"""Which differences on the same images are more than luck."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import bdtr, stdtr

Place = tuple[int, int]
#: Of one method, by seed, bool (N,): which images of the same set it gets wrong.
BySeed = Mapping[int, np.ndarray]


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


def p_equal(wrong_a: BySeed, wrong_b: BySeed) -> float:
    """Two-sided p-value that two methods err equally often, over the test images and the seeds that both have.

    With one seed McNemar's test. With more, Student's t of the difference in the mean over seeds. Its variance is that
    over images, as in McNemar's test, and that between seeds, each pair of which learned from the same images; its
    degrees of freedom are Satterthwaite's (Biometrics 1946), few where seeds decide. From the difference one image is
    taken off, since images come in whole ones (Edwards, Psychometrika 1948).
    """
    seeds = [seed for seed in wrong_a if seed in wrong_b]
    if len(seeds) == 1:
        return mcnemar(wrong_a[seeds[0]], wrong_b[seeds[0]])
    differences = np.stack([wrong_a[seed].astype(np.float64) - wrong_b[seed] for seed in seeds])
    images = differences.shape[1]
    over_images = float((differences.mean(axis=0) ** 2).mean()) / images
    over_seeds = float(differences.mean(axis=1).var(ddof=1)) / len(seeds)
    variance = over_images + over_seeds
    if variance == 0:
        return 1.0
    freedom = variance**2 / (over_images**2 / max(1, images - 1) + over_seeds**2 / (len(seeds) - 1))
    apart = max(0.0, abs(float(differences.mean())) - 1 / images)
    return min(1.0, 2 * float(stdtr(freedom, -apart / np.sqrt(variance))))


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values for a family of tests (Holm, Scandinavian J. of Statistics 1979)."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for position, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = largest
    return [float(value) for value in adjusted]


def pairwise(wrong: Mapping[str, BySeed]) -> dict[tuple[str, str], float]:
    """p-values that two methods err equally often, for all pairs both ways round: `p_equal`, adjusted by Holm.

    Args:
        wrong: of each method, on the same images.
    """
    pairs = list(combinations(wrong, 2))
    found = {}
    for (a, b), p in zip(pairs, holm([p_equal(wrong[a], wrong[b]) for a, b in pairs]), strict=True):
        found[a, b] = found[b, a] = p
    return found


def mean_error(wrong: BySeed) -> float:
    """The mean over seeds of the share of images that is wrong, 0-1."""
    return float(np.mean([values.mean() for values in wrong.values()]))


def places(wrong: Mapping[str, BySeed], p_values: Mapping[tuple[str, str], float], level: float) -> dict[str, Place]:
    """The places that each method may have: behind all that surely err less, before all that surely err more.

    Since the p-values are adjusted, equals are told apart anywhere in the list with a probability of at most `level`.

    Args:
        wrong: of each method.
        p_values: of `pairwise`.
        level: below it a difference is no chance.
    """
    errors = {key: mean_error(values) for key, values in wrong.items()}

    def surely_better(a: str, b: str) -> bool:
        return errors[a] < errors[b] and p_values[a, b] < level

    return {
        key: (
            1 + sum(surely_better(other, key) for other in wrong if other != key),
            len(wrong) - sum(surely_better(key, other) for other in wrong if other != key),
        )
        for key in wrong
    }


@dataclass(frozen=True)
class Standing:
    """Where a method stands among others.

    Attributes:
        place: the first and the last that it may have; None where it is compared with none.
        p_equal_to_best: the p-value that it errs as often as the method with the lowest error; None likewise.
        tied_with_best: no test tells it from that one.
    """

    place: list[int] | None
    p_equal_to_best: float | None
    tied_with_best: bool


def standings(wrong: Mapping[str, BySeed], confidence: float, apart: Collection[str] = ()) -> dict[str, Standing]:
    """Where each method stands.

    Args:
        wrong: of each method.
        confidence: of the tests.
        apart: methods that saw such images before, and are compared with none.
    """
    fair = {key: one for key, one in wrong.items() if key not in apart}
    p_values = pairwise(fair)
    found = places(fair, p_values, 1 - confidence)
    best = min(fair, key=lambda key: mean_error(fair[key]), default=None)
    alone = Standing(None, None, tied_with_best=False)

    def standing(key: str) -> Standing:
        p = 1.0 if key == best else p_values[key, str(best)]
        return Standing(list(found[key]), round(p, 6), p >= 1 - confidence)

    return {key: standing(key) if key in fair else alone for key in wrong}
