"""Is an image unlike anything in training? Signs of it, each on the scale that val gives it, joined into one number.

The signs are the largest score (maximum logit: Hendrycks et al., "Scaling out-of-distribution detection for real-world
settings", ICML 2022), which serves SVMs, matches and networks alike, and the three distances of space.Space. They are
measured between features, and between what the layers of a network saw: the last layer alone, made to tell the classes
from one another, hardly tells a stranger (as Lee et al. found who looked at all layers, NeurIPS 2018). What a fusion
has in their place is how strange the image is to its members.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.models.model import Seen, with_prefix, without_prefix
from pipeline.models.space import Space

FALSE_ALARMS = 0.05  # share of val that is taken for unlike anything in training
TAIL = 1.645  # standard deviations from the middle of a normal distribution to its 95 % quantile
SMALLEST = 1e-9


@dataclass(frozen=True)
class Familiarity:
    """What tells one model's strangers from images of its classes; set on val.

    Attributes:
        space: of training images; None where a model has no embedding but its scores, and for a fusion.
        middle: of each sign the median on val, float64 (signs,).
        above: of each sign one standard deviation upwards, as far as the 95 % quantile tells it, float64 (signs,).
        below: the same downwards; infinite for a sign of which low values mean nothing.
        threshold: the strangeness that 5 % of val lie above.
        false_alarms: the share of val above it, 0-1; less than 5 % where many are equal.
    """

    space: Space | None
    middle: np.ndarray
    above: np.ndarray
    below: np.ndarray
    threshold: float
    false_alarms: float

    @staticmethod
    def of(space: Space | None, val: Iterable[Seen]) -> tuple[Familiarity, np.ndarray]:
        """Set it on val, seen batch by batch; also the strangeness of val's images, float32 (N,)."""
        return _fitted(space, np.concatenate([_signs(space, seen) for seen in val]), _both_ways(space))

    @staticmethod
    def of_fusion(scores: np.ndarray, members: Mapping[str, np.ndarray]) -> tuple[Familiarity, np.ndarray]:
        """Set a fusion's on val.

        Args:
            scores: float32 (N, classes), fused.
            members: how strange each image is to each member, float32 (N,).
        """
        return _fitted(None, _joined(scores, members), [False] * (1 + len(members)))

    def strangeness(self, seen: Seen) -> np.ndarray:
        """How far from what it was on val all signs are together, in standard deviations, float32 (n,)."""
        return self._strangeness(_signs(self.space, seen))

    def strangeness_of_fusion(self, scores: np.ndarray, members: Mapping[str, np.ndarray]) -> np.ndarray:
        """The same for a fusion; see of_fusion."""
        return self._strangeness(_joined(scores, members))

    def unlike(self, strangeness: np.ndarray) -> np.ndarray:
        """Which images are unlike anything in training, bool (n,)."""
        return np.asarray(strangeness > np.float32(self.threshold))

    def _strangeness(self, signs: np.ndarray) -> np.ndarray:
        away = signs - self.middle
        z = np.where(away > 0, away / self.above, away / self.below)
        return np.sqrt((z**2).sum(axis=1)).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """By name."""
        own = {
            "middle": self.middle,
            "above": self.above,
            "below": self.below,
            "threshold": np.array([self.threshold, self.false_alarms]),
        }
        return own | (with_prefix("space", self.space.arrays()) if self.space else {})

    @staticmethod
    def restore(arrays: dict[str, np.ndarray]) -> Familiarity:
        """From what `arrays` gave.

        Raises:
            KeyError, ValueError: an array is missing, or they don't belong together.
        """
        space = without_prefix("space", arrays)
        threshold, false_alarms = arrays["threshold"].tolist()
        middle, above, below = (arrays[name] for name in ("middle", "above", "below"))
        if not middle.shape == above.shape == below.shape:
            raise ValueError("the scales of the signs are of different numbers")
        return Familiarity(Space.restore(space) if space else None, middle, above, below, threshold, false_alarms)


def _signs(space: Space | None, seen: Seen) -> np.ndarray:
    """float64 (n, signs), larger is stranger."""
    claimed = -seen.scores.max(axis=1, keepdims=True).astype(np.float64)
    return claimed if space is None else np.concatenate([claimed, space.distances(seen.told_by)], axis=1)


def _both_ways(space: Space | None) -> list[bool]:
    """Of which signs low values are strange as well.

    Noise and even surfaces often lie nearer to the subspace of the axes than any photograph.
    """
    return [False] if space is None else [False, False, True, False]


def _joined(scores: np.ndarray, members: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([-scores.max(axis=1), *members.values()], axis=1).astype(np.float64)


def _fitted(space: Space | None, signs: np.ndarray, both_ways: list[bool]) -> tuple[Familiarity, np.ndarray]:
    low, middle, high = np.quantile(signs, [FALSE_ALARMS, 0.5, 1 - FALSE_ALARMS], axis=0)
    above = np.maximum((high - middle) / TAIL, SMALLEST)
    below = np.where(both_ways, np.maximum((middle - low) / TAIL, SMALLEST), np.inf)
    strangeness = Familiarity(space, middle, above, below, 0.0, 0.0)._strangeness(signs)
    threshold = float(np.quantile(strangeness, 1 - FALSE_ALARMS, method="higher"))
    false_alarms = float((strangeness > np.float32(threshold)).mean())
    return Familiarity(space, middle, above, below, threshold, false_alarms), strangeness
