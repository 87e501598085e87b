"""What more images would bring: curves beyond the largest size, and how wrong they are where that can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.confidence import percent
from pipeline.evaluation.curves.forms import FEWEST, FORMS, POWER, extrapolate, weights_of

MORE = 100  # images that a person might label next
TIMES = (2, 10)  # as many images as there are
FARTHEST = 100  # times as many: beyond, nothing is said about where curves meet


@dataclass(frozen=True)
class Series:
    """Errors of a method, or of an era's best one, at several sizes.

    Attributes:
        sizes: (K,), rising.
        errors: as measured, (K,), 0-1.
        replicates: (B, K), 0-1.
    """

    sizes: np.ndarray
    errors: np.ndarray
    replicates: np.ndarray

    @property
    def extrapolates(self) -> bool:
        """Whether there are sizes enough."""
        return len(self.sizes) >= FEWEST

    def beyond(self, form: str, at: np.ndarray, replicates: bool = False, first: int | None = None) -> np.ndarray:
        """Errors at larger sizes: (1, Q) of what was measured, or (B, Q).

        They begin at the last error that was measured, and fall from there in the proportion in which the form falls:
        a form that runs above or below its last point would else promise more images a higher error, or a leap.

        Args:
            first: only this many sizes are fitted.
        """
        values = self.through(form, np.append(at, self.sizes[:first][-1]), replicates, first)
        errors = self.replicates[:, :first] if replicates else self.errors[None, :first]
        return np.clip(values[:, :-1] * (errors[:, -1:] / np.maximum(values[:, -1:], 1e-9)), 0, 1)

    def through(self, form: str, at: np.ndarray, replicates: bool = False, first: int | None = None) -> np.ndarray:
        """Values of a form fitted to the errors, at any sizes: (1, Q) of what was measured, or (B, Q)."""
        sizes = self.sizes[:first]
        weights = weights_of(sizes, self.replicates[:, :first].var(axis=0))
        errors = self.replicates[:, :first] if replicates else self.errors[None, :first]
        return extrapolate(form, sizes, errors, weights, at)


def outlook(series: Series, confidence: float) -> dict[str, Any] | None:
    """Errors in percent at twice and ten times the images, and what 100 more would bring at each size.

    `points_per_doubling`: the slope at the largest size: by how many points the error falls with twice the images, by
    the power law (Hoiem 2021: report the error and the slope at full size, since single parameters are unstable).
    `forms`: the same by each form, whose range says how little an extrapolation is worth.
    """
    if not series.extrapolates:
        return None
    largest = float(series.sizes[-1])
    at = np.array([largest, *(times * largest for times in TIMES)])
    drawn = series.beyond(POWER, at, replicates=True)
    tail = (1 - confidence) / 2
    by_form = {form: series.beyond(form, at)[0] for form in FORMS}
    fitted = by_form[POWER]
    more = series.through(POWER, np.concatenate([series.sizes, series.sizes + MORE]))[0]
    gains = more[: len(series.sizes)] - more[len(series.sizes) :]
    return {
        "points_per_doubling": percent(float(fitted[0] - fitted[1])),
        **{
            f"times_{times}": {
                "images": int(times * largest),
                "error": percent(float(fitted[k])),
                "low": percent(float(np.quantile(drawn[:, k], tail))),
                "high": percent(float(np.quantile(drawn[:, k], 1 - tail))),
                "forms": {form: percent(float(values[k])) for form, values in by_form.items()},
            }
            for k, times in enumerate(TIMES, start=1)
        },
        f"with_{MORE}_more": [percent(float(gain)) for gain in gains],
        "left_out": left_out(series),
    }


def left_out(series: Series) -> list[dict[str, Any]]:
    """Each form, fitted without the largest one or two sizes, against what was measured at the largest, in percent."""
    found = []
    for count in (1, 2):
        first = len(series.sizes) - count
        if first < FEWEST:
            break
        values = {
            form: float(series.beyond(form, series.sizes[-1:].astype(float), first=first)[0, 0]) for form in FORMS
        }
        found.append(
            {
                "fitted_to": int(series.sizes[first - 1]),
                "images": int(series.sizes[-1]),
                "measured": percent(float(series.errors[-1])),
                "forms": {form: percent(value) for form, value in values.items()},
            }
        )
    return found


def meeting(old: Series, new: Series, confidence: float) -> dict[str, Any] | None:
    """Where two curves would meet beyond the largest size, the learned one being behind there.

    Returns:
        None with too few sizes; else `images`: the median over replicates, None where half of them do not meet within a
        hundred times the images; `low`, `high`: the interval, None likewise; `forms`: by each form.
    """
    if not (old.extrapolates and new.extrapolates):
        return None
    largest = float(min(old.sizes[-1], new.sizes[-1]))
    at = np.geomspace(largest, FARTHEST * largest, 200)
    tail = (1 - confidence) / 2

    def first_ahead(form: str, replicates: bool) -> np.ndarray:
        ahead = new.beyond(form, at, replicates) < old.beyond(form, at, replicates)
        return np.where(ahead.any(axis=1), at[ahead.argmax(axis=1)], np.inf)

    drawn = np.sort(first_ahead(POWER, replicates=True))
    low, median, high = (_finite(drawn[round(q * (len(drawn) - 1))]) for q in (tail, 0.5, 1 - tail))
    forms = {form: _finite(first_ahead(form, replicates=False)[0]) for form in FORMS}
    return {"images": median, "low": low, "high": high, "forms": forms, "up_to": int(FARTHEST * largest)}


def _finite(value: float) -> int | None:
    return round(value) if np.isfinite(value) else None
