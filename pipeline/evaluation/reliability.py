"""Do probabilities mean what they say, and what does it bring to leave the unsure images unanswered?

All functions take the same two arrays: `top`, float (N,), the probability of each image's first guess, and `right`,
bool (N,), whether that guess is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.metrics import wilson_interval

BINS = 15  # as Guo et al. have them
POINTS = 100  # of a drawn curve


@dataclass(frozen=True)
class Bin:
    """The images whose top probability lies above `start` and not above `end`.

    Attributes:
        start, end: of the bin, 0-1.
        count: of its images.
        confidence: mean top probability; None without images, like all that follows.
        accuracy: share of right guesses.
        low, high: its Wilson interval.
    """

    start: float
    end: float
    count: int
    confidence: float | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """Error among the images that are answered, the surest first; images of equal probability are answered together.

    Attributes:
        threshold: float (M,), the lowest top probability that is answered, falling.
        answered: float (M,), share of images, 0-1; the last is 1.
        error: float (M,), share of wrong ones among them; the last is the top-1 error.
    """

    threshold: np.ndarray
    answered: np.ndarray
    error: np.ndarray

    @property
    def area(self) -> float:
        """Area under the curve (AURC): mean error over all shares answered, 0-1."""
        return float((np.diff(self.answered, prepend=0.0) * self.error).sum())

    def thinned(self, most: int = POINTS) -> Curve:
        """At most so many points, evenly spaced in the share answered; the last stays."""
        wanted = np.arange(1, most + 1) / most
        # Rounding must not push the last one beyond the end.
        chosen = np.unique(np.minimum(np.searchsorted(self.answered, wanted), len(self.answered) - 1))
        return Curve(self.threshold[chosen], self.answered[chosen], self.error[chosen])


@dataclass(frozen=True)
class Answered:
    """What is left where only sure guesses are given.

    Attributes:
        share: of images whose top probability reaches the threshold, 0-1.
        count: of them.
        wrong: of them.
        error: wrong / count; None where nothing is answered, like its interval.
        low, high: its Wilson interval.
    """

    share: float
    count: int
    wrong: int
    error: float | None = None
    low: float | None = None
    high: float | None = None


def expected_calibration_error(top: np.ndarray, right: np.ndarray) -> float:
    """Mean distance between probability and share of right guesses, bin by bin, 0-1.

    Naeini et al., AAAI 2015, with the equal-width bins of top probabilities of Guo et al., ICML 2017.
    """
    gaps = np.bincount(_bin_of(top), weights=top - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(top))


def reliability_table(top: np.ndarray, right: np.ndarray, level: float) -> list[Bin]:
    """All BINS bins, lowest first; those without images too.

    Args:
        level: of the Wilson intervals.
    """
    bin_of = _bin_of(top)
    found = []
    for number in range(BINS):
        inside = bin_of == number
        start, end, count = number / BINS, (number + 1) / BINS, int(inside.sum())
        if not count:
            found.append(Bin(start, end, 0))
            continue
        hits = int(right[inside].sum())
        interval = wilson_interval(hits, count, level)
        found.append(Bin(start, end, count, float(top[inside].mean()), hits / count, *interval))
    return found


def risk_coverage(top: np.ndarray, right: np.ndarray) -> Curve:
    """Error against the share answered (El-Yaniv & Wiener, JMLR 2010), a point for each probability that occurs."""
    order = np.argsort(-top, kind="stable")
    falling = top[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(top) - 1)  # of each group of equals
    wrong, count = np.cumsum(~right[order])[last], last + 1
    return Curve(falling[last], count / len(top), wrong / count)


def answered_at(top: np.ndarray, right: np.ndarray, threshold: float, level: float) -> Answered:
    """What happens if only guesses with at least this probability are given.

    Args:
        threshold: 0-1.
        level: of the Wilson interval.
    """
    given = top >= threshold
    count, wrong = int(given.sum()), int((given & ~right).sum())
    if not count:
        return Answered(0.0, 0, 0)
    return Answered(count / len(top), count, wrong, wrong / count, *wilson_interval(wrong, count, level))


def _bin_of(top: np.ndarray) -> np.ndarray:
    """Bins are open below and closed above, as in Guo et al.; rounding above 1 stays in the last."""
    return np.clip(np.ceil(top * BINS).astype(int) - 1, 0, BINS - 1)
