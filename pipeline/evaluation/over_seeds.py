"""One method from several seeds: the mean of its errors, with an interval over test images and the luck of training.

The interval joins two by their squares (Zou & Donner, Statistics in Medicine 2008): that of the test images, and
Student's over seeds, whose errors are few and taken for normal. Both sources must be varied for an error of training
anew to be covered (Bouthillier et al., MLSys 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pipeline.curves.kept import Point
from pipeline.evaluation import metrics
from pipeline.evaluation.confidence import percent
from pipeline.evaluation.error_rates import TOP_5_NEEDS, balanced_of, errors_of
from pipeline.evaluation.results import Outcome, Result
from pipeline.evaluation.significance import BySeed


@dataclass(frozen=True)
class Runs:
    """One method from each of its seeds, the seed of its results first.

    Attributes:
        ranks: by seed, int (N,), of test's images; see metrics.ranks.
        val_errors: by seed, top-1, 0-1.
        seconds: by seed, of training, tuning included.
        failed: by seed, why it has none of these.
    """

    ranks: dict[int, np.ndarray]
    val_errors: dict[int, float]
    seconds: dict[int, float]
    failed: dict[int, str]

    @property
    def wrong(self) -> BySeed:
        """Whether the first guess is wrong, by seed bool (N,)."""
        return {seed: ranks > 0 for seed, ranks in self.ranks.items()}

    @property
    def val_error(self) -> float:
        """The mean over seeds, whose val is another each time."""
        return float(np.mean(list(self.val_errors.values())))


def runs_of(outcome: Outcome, seed: int) -> dict[str, Runs]:
    """Of each method, by its key.

    Args:
        outcome: what lies in results/.
        seed: of these results.
    """
    return {
        result.method.key: _of_method(result, outcome, outcome.seeds.get(result.method.key, []), seed)
        for result in outcome.results
    }


def _of_method(result: Result, outcome: Outcome, others: Sequence[Point], seed: int) -> Runs:
    val, test = (metrics.ranks(result.scores[name], outcome.splits[name].labels) for name in ("val", "test"))
    usable = [point for point in others if point.ranks is not None and point.seed != seed]
    return Runs(
        {seed: test, **{point.seed: np.asarray(point.ranks).astype(np.int64) for point in usable}},
        {seed: float((val > 0).mean()), **{point.seed: point.val_error for point in usable}},
        {seed: result.cost.training_seconds, **{point.seed: point.train_seconds for point in usable}},
        {point.seed: point.failed for point in others if point.failed},
    )


def errors_on_test(runs: Runs, labels: np.ndarray, classes: int, confidence: float) -> dict[str, float | None]:
    """Top-1, top-5 and balanced error in percent with intervals, as `errors_of` and `balanced_of` give them.

    Args:
        runs: of one method.
        labels: of test, int (N,).
    """
    found = list(runs.ranks.values())
    if len(found) == 1:
        return {**errors_of(found[0], classes, confidence), **balanced_of(found[0], labels, classes, confidence)}
    errors: dict[str, float | None] = {}
    for k in (1, 5):
        wrong = np.stack([ranks >= k for ranks in found])
        _put(errors, f"top{k}", mean_error(wrong, confidence) if k == 1 or classes >= TOP_5_NEEDS else None)
    _put(errors, "balanced", _mean_balanced(np.stack(found) > 0, labels, classes, confidence))
    return errors


def mean_error(wrong: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The mean over seeds of the share that is wrong, and its interval, 0-1.

    Over test images the interval is Wilson's for as many independent answers as would give the mean its variance
    (Korn & Graubard, Survey Methodology 1998): between one and all of the seeds' answers an image.

    Args:
        wrong: bool (seeds, N), two seeds or more.

    Returns:
        Error, low, high.
    """
    seeds, images = wrong.shape
    by_image = wrong.mean(axis=0)
    mean, variance = float(by_image.mean()), float(by_image.var())
    effective = float(images * seeds)
    if variance > 0:
        effective = min(effective, max(float(images), images * mean * (1 - mean) / variance))
    elif mean in (0.0, 1.0):
        effective = float(images)  # no error anywhere says no more of an image than one answer does
    within = metrics.wilson_interval(mean * effective, effective, confidence)
    return _joined(mean, within, wrong.mean(axis=1), confidence)


def _mean_balanced(
    wrong: np.ndarray, labels: np.ndarray, classes: int, confidence: float
) -> tuple[float, float, float]:
    """Likewise of the balanced error; over test images its interval is that of a single run, which is wider."""
    mean, *within = metrics.balanced_error(wrong.mean(axis=0), labels, classes, confidence)
    each = np.array([metrics.balanced_error(one, labels, classes, confidence)[0] for one in wrong])
    return _joined(mean, (within[0], within[1]), each, confidence)


def _joined(
    mean: float, within: tuple[float, float], each: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """The mean with both intervals in one.

    Args:
        within: the interval over test images.
        each: the errors of the seeds, float (seeds,).
    """
    seeds = len(each)
    luck = float(stdtrit(seeds - 1, 0.5 + confidence / 2) * each.std(ddof=1) / np.sqrt(seeds))
    low, high = mean - np.hypot(mean - within[0], luck), mean + np.hypot(within[1] - mean, luck)
    return mean, float(max(0.0, low)), float(min(1.0, high))


def _put(errors: dict[str, float | None], measure: str, found: tuple[float, float, float] | None) -> None:
    for name, value in zip(("error", "low", "high"), found or (None, None, None), strict=True):
        errors[f"{measure}_{name}"] = percent(value)


def described(runs: Mapping[str, Runs], classes: int) -> dict[str, Any] | None:
    """What metrics.json holds of it, in percent: None where every method has one seed.

    Returns:
        `seeds`: all of them; `methods`: for each, by seed, `test`, `test_top5` (None with fewer than six classes),
        `val` and `train_seconds`, the `deviation` of test between seeds, the mean `val_error`, and `failed`: by seed,
        why there is nothing.
    """
    seeds = list(dict.fromkeys(seed for one in runs.values() for seed in (*one.ranks, *one.failed)))
    if len(seeds) < 2:
        return None
    return {"seeds": seeds, "methods": {key: _method(one, classes) for key, one in runs.items()}}


def _method(runs: Runs, classes: int) -> dict[str, Any]:
    errors = {seed: float(wrong.mean()) for seed, wrong in runs.wrong.items()}
    return {
        "test": {str(seed): percent(error) for seed, error in errors.items()},
        "test_top5": {
            str(seed): percent(float((ranks >= 5).mean())) if classes >= TOP_5_NEEDS else None
            for seed, ranks in runs.ranks.items()
        },
        "val": {str(seed): percent(error) for seed, error in runs.val_errors.items()},
        "train_seconds": {str(seed): round(seconds, 3) for seed, seconds in runs.seconds.items()},
        "deviation": percent(float(np.std(list(errors.values()), ddof=1))) if len(errors) > 1 else None,
        "val_error": percent(runs.val_error),
        "failed": {str(seed): why for seed, why in runs.failed.items()},
    }
