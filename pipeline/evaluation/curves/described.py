"""All that the curves say, as metrics.json holds it: errors in percent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from pipeline import catalogue
from pipeline.curves.kept import Point
from pipeline.evaluation.confidence import percent
from pipeline.evaluation.curves import replicates as bootstrap
from pipeline.evaluation.curves.crossing import crossing, interval, overtaking
from pipeline.evaluation.curves.measured import AtSize, MethodCurve
from pipeline.evaluation.curves.outlook import Series, meeting, outlook
from pipeline.evaluation.curves.replicates import Replicates
from pipeline.evaluation.error_rates import TOP_5_NEEDS

ERAS = ("hand-crafted", "learned")
ELSEWHERE = "pretrained"  # the era of features that were learned from other images
#: Whose curves are compared, pair by pair: the second may overtake the first.
PAIRS = (ERAS, (ELSEWHERE, "learned"), ("hand-crafted", ELSEWHERE))


def described(
    found: Mapping[str, Sequence[Point]], classes: int, confidence: float, seed: int, saw: Collection[str] = ()
) -> dict[str, Any] | None:
    """Every method's curve, each era's best, and where they cross; None where nothing was measured.

    Args:
        found: the points of each method, by its key.
        classes: how many.
        confidence: of the intervals.
        seed: of the bootstrap.
        saw: methods whose weights have seen images of this data set: they are listed, and compared with none.
    """
    curves = [MethodCurve.of(key, catalogue.BY_KEY[key].era, points) for key, points in found.items()]
    curves = [curve for curve in curves if curve.at]
    if not curves:
        return None
    drawn = bootstrap.draw(curves, seed=seed)
    compared = [curve for curve in curves if curve.key not in saw]
    eras = {era: _best((era,), compared, drawn) for era in (*ERAS, ELSEWHERE)}
    return {
        "seeded": drawn.seeded,
        "sizes": sorted({size for curve in curves for size in curve.at}),
        "methods": {curve.key: _method(curve, drawn, classes, confidence) for curve in curves},
        "eras": {era: _era(best, confidence) for era, best in eras.items() if best is not None},
        "crossing": _crossed(_series(eras[ERAS[0]]), _series(eras[ERAS[1]]), confidence),
        "elsewhere": _worth(_best(ERAS, compared, drawn), eras[ELSEWHERE], confidence),
        "pairs": [
            {"old": one.key, "new": other.key, **pair}
            for one in compared
            for other in compared
            if (one.era, other.era) in PAIRS
            and (pair := _crossed(_of_method(one, drawn), _of_method(other, drawn), confidence)) is not None
        ],
        "failed": [
            {"method": key, "images": point.size, "seed": point.seed, "why": point.failed}
            for key, points in found.items()
            for point in points
            if point.failed
        ],
    }


def _method(curve: MethodCurve, drawn: Replicates, classes: int, confidence: float) -> dict[str, Any]:
    series = _of_method(curve, drawn)
    return {
        "era": curve.era,
        "rows": [_row(cell, drawn.test[curve.key, size], classes, confidence) for size, cell in curve.at.items()],
        "outlook": outlook(series, confidence),
    }


def _row(cell: AtSize, drawn: np.ndarray, classes: int, confidence: float) -> dict[str, Any]:
    tail, points = (1 - confidence) / 2, cell.points
    top_5 = fmean(float((np.asarray(point.ranks) >= 5).mean()) for point in points)
    return {
        "images": cell.size,
        "seeds": list(cell.seeds),
        "fits": [_fit(point, classes) for point in points],
        "top1_error": percent(float(cell.errors.mean())),
        "top1_low": percent(float(np.quantile(drawn, tail))),
        "top1_high": percent(float(np.quantile(drawn, 1 - tail))),
        "top5_error": percent(top_5) if classes >= TOP_5_NEEDS else None,
        "deviation": percent(float(cell.errors.std(ddof=1))) if len(points) > 1 else None,
        "val_error": percent(float(cell.val_errors.mean())),
        "val_images": points[0].val_images,
        "train_seconds": round(median(point.train_seconds for point in points), 3),
        "predict_ms": round(median(point.predict_ms for point in points), 4),
        "megabytes": round(median(point.bytes for point in points) / 1e6, 3),
        "steps": round(median(point.steps for point in points)),
        "tuned": all(point.tuned for point in points),
    }


def _fit(point: Point, classes: int) -> dict[str, Any]:
    """One seed's."""
    ranks = np.asarray(point.ranks)
    return {
        "seed": point.seed,
        "top1_error": percent(float((ranks >= 1).mean())),
        "top5_error": percent(float((ranks >= 5).mean())) if classes >= TOP_5_NEEDS else None,
        "val_error": percent(point.val_error),
        "train_seconds": round(point.train_seconds, 3),
        "predict_ms": round(point.predict_ms, 4),
        "steps": point.steps,
        "chosen": point.chosen,
    }


@dataclass(frozen=True)
class Best:
    """The best method of one era, or of several, at each size.

    It is chosen on val, and in each replicate anew, since val has its luck as well.

    Attributes:
        chosen: its key at each size.
        series: its errors.
    """

    chosen: list[str]
    series: Series


def _best(eras: Sequence[str], curves: Sequence[MethodCurve], drawn: Replicates) -> Best | None:
    mine = [curve for curve in curves if curve.era in eras]
    sizes = sorted({size for curve in mine for size in curve.at})
    if not sizes:
        return None
    chosen, errors, columns = [], [], []
    for size in sizes:
        there = [curve for curve in mine if size in curve.at]
        best = min(there, key=lambda curve: float(curve.at[size].val_errors.mean()))
        chosen.append(best.key)
        errors.append(float(best.at[size].errors.mean()))
        val = np.stack([drawn.val[curve.key, size] for curve in there])
        test = np.stack([drawn.test[curve.key, size] for curve in there])
        columns.append(test[val.argmin(axis=0), np.arange(val.shape[1])])
    return Best(chosen, Series(np.array(sizes), np.array(errors), np.stack(columns, axis=1)))


def _series(best: Best | None) -> Series | None:
    return None if best is None else best.series


def _of_method(curve: MethodCurve, drawn: Replicates) -> Series:
    errors = np.array([cell.errors.mean() for cell in curve.at.values()])
    return Series(
        np.array(list(curve.at)), errors, np.stack([drawn.test[curve.key, size] for size in curve.at], axis=1)
    )


def _era(best: Best, confidence: float) -> dict[str, Any]:
    tail, series = (1 - confidence) / 2, best.series
    return {
        "rows": [
            {
                "images": size,
                "method": best.chosen[k],
                "top1_error": percent(float(series.errors[k])),
                "top1_low": percent(float(np.quantile(series.replicates[:, k], tail))),
                "top1_high": percent(float(np.quantile(series.replicates[:, k], 1 - tail))),
            }
            for k, size in enumerate(series.sizes.tolist())
        ],
        "outlook": outlook(series, confidence),
    }


def _crossed(old: Series | None, new: Series | None, confidence: float) -> dict[str, Any] | None:
    """Where the learned one overtakes, at the sizes that both have; None with fewer than two."""
    if old is None or new is None:
        return None
    sizes = sorted(set(old.sizes.tolist()) & set(new.sizes.tolist()))
    if len(sizes) < 2:
        return None
    old, new = (
        Series(one.sizes[k], one.errors[k], one.replicates[:, k])
        for one in (old, new)
        for k in [np.isin(one.sizes, sizes)]
    )
    found = crossing(np.array(sizes), old.replicates, new.replicates, confidence)
    ahead = found.median == np.inf
    return {
        "kind": found.kind,
        **{name: _number(getattr(found, name)) for name in ("median", "low", "high")},
        "sizes": sizes,
        "winners": list(found.winners),
        "shares": [percent(share) for share in found.shares],
        "old_errors": [percent(float(error)) for error in old.errors],
        "new_errors": [percent(float(error)) for error in new.errors],
        "meeting": meeting(old, new, confidence) if ahead else None,
    }


def _worth(here: Best | None, elsewhere: Best | None, confidence: float) -> list[dict[str, Any]] | None:
    """With how many images the best method that saw these alone errs as seldom as features learned from other images.

    Returns:
        For each number of images of theirs that was tried the `method`, and `median`, `low` and `high` of the others'
        number: also `smallest`, if that one does, and `never`, if none that was tried does. None where one is missing.
    """
    if here is None or elsewhere is None or len(here.series.sizes) < 2:
        return None
    found = []
    for k, size in enumerate(elsewhere.series.sizes.tolist()):
        level = elsewhere.series.replicates[:, k : k + 1]
        errors = here.series.replicates
        reached = overtaking(here.series.sizes, np.broadcast_to(level, errors.shape), errors)
        low, median, high = interval(reached, confidence)
        ends = {"median": _number(median), "low": _number(low), "high": _number(high)}
        found.append({"images": size, "method": elsewhere.chosen[k], **ends})
    return found


def _number(value: float) -> int | str:
    """JSON knows no infinity: `smallest` is ahead from the smallest size on, `never` not within what was measured."""
    return "smallest" if value == -np.inf else "never" if value == np.inf else round(value)
