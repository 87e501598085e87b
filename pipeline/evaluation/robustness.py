"""What the stage robustness found, in percent with intervals: by change and severity, by reason, and who errs more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_arrays, read_json
from pipeline.robustness.change import NOTHING

STAGE = "robustness"
CLEAN = "none"
COLUMNS = [
    "method", "reason", "change", "severity", "images", "top1_error", "top1_low", "top1_high", "top5_error",
    "unchanged", "confidence",
]  # fmt: skip
#: ImageNet-C's.
FIFTEEN = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic", "pixelate", "jpeg",
)  # fmt: skip


@dataclass(frozen=True)
class Robustness:
    """What lies in results/robustness/.

    Attributes:
        images: of the sample.
        changes: their descriptions, by key.
        left_out: keys, and why.
        counts: a row a condition and method.
        wrong: of each method, bool (conditions, images).
        conditions: change and severity, in the order of `wrong`.
    """

    images: int
    changes: dict[str, dict[str, Any]]
    left_out: dict[str, str]
    counts: list[dict[str, Any]]
    wrong: dict[str, np.ndarray]
    conditions: list[tuple[str, int]]

    def wrong_after(self, key: str, change: str, severity: int) -> np.ndarray:
        """Which images a method gets wrong then, bool (images,)."""
        found: np.ndarray = self.wrong[key][self.conditions.index((change, severity))]
        return found

    def severities(self, change: str) -> list[int]:
        """Those that were measured of a change."""
        return [severity for one, severity in self.conditions if one == change]


def read(fingerprint: str, folder: Path = layout.ROBUSTNESS) -> Robustness | None:
    """As the stage left it; None where nothing was measured.

    Args:
        fingerprint: of the test images.

    Raises:
        PipelineError: a file is damaged, or of another run.
    """
    if not (folder / "measured.json").is_file():
        return None
    found = read_json(folder / "measured.json", STAGE)
    if found is None:
        return None
    packed = read_arrays(folder / "wrong.npz", STAGE)
    try:
        images, counts = int(found["images"]), found["counts"]
        conditions = list(dict.fromkeys((row["change"], row["severity"]) for row in counts))
        whole = all(bits.shape == (len(conditions), -(-images // 8)) for bits in packed.values())
        wrong = {key: np.unpackbits(bits, axis=1, count=images).astype(bool) for key, bits in packed.items()}
        changes = {one["key"]: one for one in found["changes"]}
        left_out = dict(found["left_out"])
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{folder}: is of another version; rerun the stage {STAGE}") from error
    if not whole or found.get("fingerprint") != fingerprint:
        raise PipelineError(f"{folder}: was measured on other images; rerun the stage {STAGE}")
    return Robustness(images, changes, left_out, counts, wrong, conditions)


def described(
    found: Robustness | None, methods: Mapping[str, Any], confidence: float, reference: str | None = None
) -> dict[str, Any] | None:
    """What metrics.json holds: errors in percent.

    Args:
        found: of `read`.
        methods: those that are evaluated; others are left out.
        confidence: of the intervals.
        reference: the method by whose errors mean corruption errors are divided, if it is there.
    """
    if found is None:
        return None
    rows: dict[str, list[dict[str, Any]]] = {}
    for count in found.counts:
        if count["method"] in methods and count["method"] in found.wrong:
            rows.setdefault(count["method"], []).append(_row(count, confidence))
    return {
        "images": found.images,
        "changes": list(found.changes.values()),
        "left_out": found.left_out,
        "reference": reference,
        "methods": {
            key: {
                "rows": own,
                "reasons": _by_reason(found, key, confidence),
                "corruptions": _corruptions(found, key),
                **_against(found, key, reference),
            }
            for key, own in rows.items()
        },
    }


def table(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method, change and severity."""
    reasons = {change["key"]: change["reason"] for change in summary["changes"]}
    return [
        {"method": key, "reason": reasons.get(row["change"], CLEAN), **row}
        for key, method in summary["methods"].items()
        for row in method["rows"]
    ]


def _row(count: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    images = count["images"]
    low, high = wilson_interval(count["wrong"], images, confidence)
    top_5 = None if count["wrong_5"] is None else round(100 * count["wrong_5"] / images, 4)
    return {
        "change": count["change"],
        "severity": count["severity"],
        "images": images,
        "top1_error": round(100 * count["wrong"] / images, 4),
        "top1_low": round(100 * low, 4),
        "top1_high": round(100 * high, 4),
        "top5_error": top_5,
        "unchanged": round(100 * count["unchanged"] / images, 4),
        "confidence": round(100 * count["confidence"], 4),
    }


def _by_reason(found: Robustness, key: str, confidence: float) -> dict[str, dict[str, float]]:
    """Of each group: the mean error over its changes, each the mean over its severities, and what it is above clean.

    The interval is over images: each is wrong in a share of the conditions, which all see the same images.
    """
    clean = found.wrong_after(key, CLEAN, 0)
    out = {}
    for reason in dict.fromkeys(change["reason"] for change in found.changes.values()):
        own = [one for one, change in found.changes.items() if change["reason"] == reason and one != NOTHING]
        if not own:
            continue
        shares = mean_wrong(found, key, own)
        low, high = _wilson(shares, confidence)
        out[reason] = {
            "top1_error": round(100 * float(shares.mean()), 4),
            "top1_low": round(100 * low, 4),
            "top1_high": round(100 * high, 4),
            "lost": round(100 * float(shares.mean() - clean.mean()), 4),
        }
    return out


def mean_wrong(found: Robustness, key: str, changes: list[str]) -> np.ndarray:
    """In which share of these changes each image is wrong, float (images,)."""
    of_changes = [
        np.mean([found.wrong_after(key, change, severity) for severity in found.severities(change)], axis=0)
        for change in changes
    ]
    return np.asarray(np.mean(of_changes, axis=0))


def _wilson(shares: np.ndarray, confidence: float) -> tuple[float, float]:
    """Wilson's, for as many images as would give the mean's variance if each were wrong or right alone; never fewer."""
    mean, count = float(shares.mean()), len(shares)
    variance = float(shares.var(ddof=1)) / count if count > 1 else 0.0
    as_many = max(count, mean * (1 - mean) / variance) if variance > 0 else count
    return wilson_interval(mean * as_many, as_many, confidence)


def _corruptions(found: Robustness, key: str) -> float | None:
    """The mean error over ImageNet-C's fifteen at all five severities, in percent; None where some are missing."""
    fifteen = _fifteen(found)
    return None if fifteen is None else round(100 * float(mean_wrong(found, key, fifteen).mean()), 4)


def _fifteen(found: Robustness) -> list[str] | None:
    """ImageNet-C's corruptions, if all of them were measured at all severities."""
    return list(FIFTEEN) if all(len(found.severities(key)) == 5 for key in FIFTEEN) else None


def _against(found: Robustness, key: str, reference: str | None) -> dict[str, float | None]:
    """Mean corruption errors as shares of the reference's, in percent (Hendrycks & Dietterich, ICLR 2019, section 4.1).

    Returns:
        `mce`, and `relative_mce`, which is of the errors above those on the images as they are; None where the fifteen
        or the reference are missing, or where one of them does nothing to the reference's errors.
    """
    fifteen = _fifteen(found)
    if fifteen is None or reference not in found.wrong:
        return {"mce": None, "relative_mce": None}
    own, its = (
        np.array([mean_wrong(found, one, [change]).mean() for change in fifteen]) for one in (key, str(reference))
    )
    clean, its_clean = (found.wrong_after(one, CLEAN, 0).mean() for one in (key, str(reference)))
    return {"mce": _mean_ratio(own, its), "relative_mce": _mean_ratio(own - clean, its - its_clean)}


def _mean_ratio(own: np.ndarray, its: np.ndarray) -> float | None:
    return round(100 * float((own / its).mean()), 4) if (its > 0).all() else None


def interval_of_mean(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Student's interval of the mean of numbers that may be negative, such as paired differences."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return -1.0, 1.0
    half = float(stdtrit(count - 1, 0.5 + confidence / 2)) * float(values.std(ddof=1)) / np.sqrt(count)
    return mean - half, mean + half
