"""What breaks them: a sentence for each of the lecture's reasons, a map of all changes, and one image under each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation import significance
from pipeline.evaluation.results import Result
from pipeline.evaluation.robustness import CLEAN, STAGE, Robustness
from pipeline.evaluation.summary import titled
from pipeline.files import read_arrays
from pipeline.report.charts import robustness as charts
from pipeline.report.charts.base import Chart
from pipeline.report.faults import Faults
from pipeline.report.pictures import data_uri
from pipeline.report.words import tenths
from pipeline.robustness.change import GROUPS

#: Of each of the lecture's reasons the change that its sentence is about.
SPOKEN = {"viewpoint": "rotation", "lighting": "gain", "deformation": "bent", "clutter": "foreign_patch"}
CUES = {"grey": "colour", "shuffled": "where things stand", "fine": "coarse structure", "coarse": "fine structure"}


@dataclass(frozen=True)
class Shown:
    """The section.

    Attributes:
        images: of the sample.
        sentences: one for each of the lecture's reasons, then one about cues.
        groups: of columns of the map: title, and how many.
        columns: titles of changes.
        rows: methods: title, era, clean error, and a cell for each change.
        reasons: of the second table: titles; and a row of cells for each method.
        chart: error against severity of the methods that the page compares.
        strip: one image under every change: caption, picture, and guesses.
        truth: its class.
        left_out: sentences.
    """

    images: int
    sentences: list[str]
    groups: list[tuple[str, int]]
    columns: list[str]
    rows: list[dict[str, Any]]
    reasons: dict[str, str]
    chart: Chart | None
    strip: list[dict[str, Any]]
    truth: str
    left_out: list[str]


def shown(
    found: Robustness | None,
    summary: dict[str, Any],
    compared: list[Result],
    classes: list[str],
    rows: list[dict[str, Any]],
    faults: Faults,
) -> Shown | None:
    """Everything that the section shows; None where nothing was measured, or nothing can be read.

    Args:
        found: of the stage.
        summary: metrics.json.
        compared: the methods that the page compares at first.
        classes: names.
        rows: of the leaderboard, whose order is kept.
        faults: takes what can't be read.
    """
    told = summary["robustness"]
    if found is None or told is None:
        return None
    there = [result for result in compared if result.method.key in told["methods"]]
    by_method = {row["method"]: told["methods"][row["method"]] for row in rows if row["method"] in told["methods"]}
    changes = {change["key"]: change for change in told["changes"]}
    reasons = list(dict.fromkeys(change["reason"] for change in changes.values()))
    strip: list[dict[str, Any]] = []
    truth = ""
    with faults.noted():
        strip, truth = _strip(changes, there, classes)
    return Shown(
        images=told["images"],
        sentences=_sentences(found, told, there, summary["confidence"]),
        groups=[(GROUPS[reason], sum(change["reason"] == reason for change in changes.values())) for reason in reasons],
        columns=[change["title"] for change in changes.values()],
        rows=[_map_row(row, by_method[row["method"]], list(changes)) for row in rows if row["method"] in by_method],
        reasons={reason: GROUPS[reason] for reason in reasons},
        chart=charts.robustness(_lines(told, there, changes), summary["confidence"]),
        strip=strip,
        truth=truth,
        left_out=[f"{key} {why}" for key, why in told["left_out"].items()],
    )


def _title(result: Result) -> str:
    return titled(result.method.key, result.cost.views)


def _row_of(told: dict[str, Any], key: str, change: str, severity: int) -> dict[str, Any]:
    rows = told["methods"][key]["rows"]
    found: dict[str, Any] = next(row for row in rows if (row["change"], row["severity"]) == (change, severity))
    return found


def _sentences(found: Robustness, told: dict[str, Any], there: list[Result], confidence: float) -> list[str]:
    said = [
        _about(found, told, there, SPOKEN[reason], confidence) for reason in SPOKEN if SPOKEN[reason] in found.changes
    ]
    return [*said, *_about_cues(told, there)]


def _about(found: Robustness, told: dict[str, Any], there: list[Result], change: str, confidence: float) -> str:
    """What each of them errs on at the middle one of the severities that were measured, beside the image as it is."""
    severities = found.severities(change)
    severity = severities[len(severities) // 2]
    words = found.changes[change]["named"][severity - 1]
    errors = []
    for result in there:
        row = _row_of(told, result.method.key, change, severity)
        clean = _row_of(told, result.method.key, CLEAN, 0)
        errors.append(
            f"{_title(result)} errs on {tenths(row['top1_error'])} % ({tenths(row['top1_low'])} to "
            f"{tenths(row['top1_high'])}; {tenths(clean['top1_error'])} without the change)"
        )
    return f"{words[0].upper()}{words[1:]}, {_listed(errors)}.{_verdict(found, there, change, severity, confidence)}"


def _verdict(found: Robustness, there: list[Result], change: str, severity: int, confidence: float) -> str:
    """Who stands it better of the first two, hand-crafted and learned, if a paired test can tell."""
    if len(there) < 2:
        return ""
    old, new = there[:2]
    wrong = [found.wrong_after(result.method.key, change, severity) for result in (old, new)]
    if significance.mcnemar(*wrong) >= 1 - confidence:
        return f" Whether {_title(old)} or {_title(new)} stands it better can't be told from {found.images} images."
    better = _title(old if wrong[0].sum() < wrong[1].sum() else new)
    return f" {better} errs less then, beyond chance."


def _about_cues(told: dict[str, Any], there: list[Result]) -> list[str]:
    """What each of them misses most of the single cues that are taken away."""
    said = []
    for result in there:
        own = told["methods"][result.method.key]["rows"]
        clean = next(row["top1_error"] for row in own if row["change"] == CLEAN)
        lost = {}
        for change in CUES:
            errors = [row["top1_error"] for row in own if row["change"] == change]
            if errors:
                lost[change] = sum(errors) / len(errors) - clean
        if not lost:
            return []
        most = max(lost, key=lambda change: lost[change])
        said.append(f"{_title(result)} loses most without {CUES[most]} ({tenths(lost[most])} points)")
    return [f"Of the cues that were taken away, {_listed(said)}."] if said else []


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _map_row(row: dict[str, Any], own: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """A method's cells: the mean error over the severities of each change."""
    errors: dict[str, list[float]] = {}
    for one in own["rows"]:
        errors.setdefault(one["change"], []).append(one["top1_error"])
    means = {change: sum(values) / len(values) for change, values in errors.items()}
    return {
        "title": row["title"],
        "era": row["era"],
        "clean": means[CLEAN],
        "cells": [means[change] for change in changes],
        "reasons": own["reasons"],
        "corruptions": own["corruptions"],
    }


def _lines(told: dict[str, Any], there: list[Result], changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the chart: every change with degrees starts from the image as it was."""
    rows = []
    for change, about in changes.items():
        for result in there:
            own = [row for row in told["methods"][result.method.key]["rows"] if row["change"] in (change, CLEAN)]
            if len(own) < 3:
                continue
            rows += [
                {
                    "change": about["title"],
                    "title": _title(result),
                    "era": result.method.era,
                    **{name: row[name] for name in ("severity", "top1_error", "top1_low", "top1_high")},
                }
                for row in own
            ]
    return rows


def _strip(changes: dict[str, Any], there: list[Result], classes: list[str]) -> tuple[list[dict[str, Any]], str]:
    """One image after each change, with what the compared methods then take it for; and what it is.

    Raises:
        PipelineError: the file is damaged.
    """
    path = layout.ROBUSTNESS / "example.npz"
    found = read_arrays(path, STAGE)
    try:
        label = int(found["label"])
        strip = [
            {
                "caption": changes[key]["named"][severity - 1] if key else "as it is",
                "uri": data_uri(np.asarray(image)),
                "guesses": [
                    {
                        "title": _title(result),
                        "era": result.method.era,
                        "name": classes[int(found[f"guess-{result.method.key}"][number])],
                        "right": int(found[f"guess-{result.method.key}"][number]) == label,
                    }
                    for result in there
                ],
            }
            for number, (key, severity, image) in enumerate(
                zip(found["changes"].tolist(), found["severities"].tolist(), found["images"], strict=True)
            )
        ]
        return strip, classes[label]
    except (KeyError, IndexError, ValueError) as error:
        raise PipelineError(f"{path}: is of another run; rerun the stage {STAGE}") from error
