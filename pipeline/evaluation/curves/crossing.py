"""Where one curve overtakes another: from which number of images on the new one is ahead, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

Winner = Literal["new", "old", "undecided"]
Kind = Literal["always", "crossing", "never", "reversed", "undecided"]


@dataclass(frozen=True)
class Crossing:
    """Who is ahead of whom.

    Attributes:
        kind: always: the new one is ahead from the smallest size on. crossing: it overtakes. never: it is behind up
            to the largest size. reversed: it is surely ahead at some size, and surely behind at a larger one.
            undecided: none of these can be told.
        median, low, high: the number of images from which on it is ahead; -inf: from the smallest size on; inf: not
            within what was measured.
        winners: at each size.
        shares: of replicates in which the new one is ahead, at each size.
    """

    kind: Kind
    median: float
    low: float
    high: float
    winners: tuple[Winner, ...]
    shares: tuple[float, ...]


def overtaking(sizes: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The size from which on `new` errs less than `old`, to the largest, in each replicate.

    Between two sizes both errors are taken for straight lines on logarithmic axes.

    Args:
        sizes: (K,), rising.
        old, new: errors above 0, (B, K).

    Returns:
        float64 (B,); -inf: from the smallest size on; inf: behind or level at the largest.
    """
    ahead = np.log(old) - np.log(new)
    behind = ahead <= 0
    last = len(sizes) - 1 - behind[:, ::-1].argmax(axis=1)  # the largest size at which it is not ahead
    last = np.where(behind.any(axis=1), last, -1)
    rows, left = np.arange(len(ahead)), np.clip(last, 0, len(sizes) - 2)
    before, after = ahead[rows, left], ahead[rows, left + 1]
    within = (last >= 0) & (last < len(sizes) - 1)  # where a line between two sizes crosses
    place = np.divide(-before, after - before, out=np.zeros(len(ahead)), where=within)
    logs = np.log(sizes)
    found = np.exp(logs[left] + place * (logs[left + 1] - logs[left]))
    return np.asarray(np.where(last < 0, -np.inf, np.where(last == len(sizes) - 1, np.inf, found)))


def interval(found: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Lower end, median and upper end of sizes that may be infinite, (B,).

    They are order statistics and not interpolated quantiles: between a number and infinity there is nothing.
    """
    tail, ordered = (1 - confidence) / 2, np.sort(found)
    low, median, high = (float(ordered[round(q * (len(ordered) - 1))]) for q in (tail, 0.5, 1 - tail))
    return low, median, high


def crossing(sizes: np.ndarray, old: np.ndarray, new: np.ndarray, confidence: float) -> Crossing:
    """Where the new curve overtakes the old one.

    Args:
        sizes: (K,), rising.
        old, new: errors of both in each replicate, (B, K).
        confidence: of the interval.
    """
    tail = (1 - confidence) / 2
    low, median, high = interval(overtaking(sizes, old, new), confidence)
    shares = (new < old).mean(axis=0)
    winners: list[Winner] = [
        "new" if share >= 1 - tail else "old" if (new > old)[:, k].mean() >= 1 - tail else "undecided"
        for k, share in enumerate(shares)
    ]
    return Crossing(_kind(winners, low, high), median, low, high, tuple(winners), tuple(float(one) for one in shares))


def _kind(winners: list[Winner], low: float, high: float) -> Kind:
    decided = [winner for winner in winners if winner != "undecided"]
    if any(one == "new" and other == "old" for one, other in pairwise(decided)):
        return "reversed"
    if not decided or (low, high) == (-np.inf, np.inf):
        return "undecided"
    if high == -np.inf:
        return "always"
    if low == np.inf:
        return "never"
    return "crossing"
