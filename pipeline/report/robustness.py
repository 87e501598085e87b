"""What breaks them: a sentence for each of the lecture's reasons, a map of all changes, and one image under each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import catalogue, layout
from pipeline.errors import PipelineError
from pipeline.evaluation import significance
from pipeline.evaluation.results import Result
from pipeline.evaluation.robustness import CLEAN, STAGE, Robustness, interval_of_mean, mean_wrong
from pipeline.evaluation.summary import titled
from pipeline.files import read_arrays
from pipeline.report.charts import robustness as charts
from pipeline.report.charts.base import Chart
from pipeline.report.faults import Faults
from pipeline.report.pictures import data_uri
from pipeline.report.words import p_value, tenths
from pipeline.robustness.change import GROUPS, NOTHING

#: Of each of the lecture's reasons the change that its sentence is about.
SPOKEN = {
    "viewpoint": "rotation",
    "lighting": "gain",
    "deformation": "bent",
    "clutter": "foreign_patch",
    "background": "other_background",
}
#: Of a cue that is taken away, its name.
CUES = {
    "grey": "colour",
    "shuffled": "the arrangement of parts",
    "fine": "coarse structure",
    "coarse": "fine structure",
    "no_background": "the background",
}


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
        known: how many methods know it as it is, of how many.
        reference: the method by whose errors mean corruption errors are divided; "" for none.
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
    known: str
    reference: str
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
    if not there:
        return None
    by_method = {row["method"]: told["methods"][row["method"]] for row in rows if row["method"] in told["methods"]}
    changes = {change["key"]: change for change in told["changes"]}
    reasons = list(dict.fromkeys(change["reason"] for change in changes.values()))
    strip: list[dict[str, Any]] = []
    truth = known = ""
    with faults.noted():
        strip, truth, known = _strip(changes, there, classes)
    return Shown(
        images=told["images"],
        sentences=_sentences(found, told, there, summary["confidence"], len(classes)),
        groups=[(GROUPS[reason], sum(change["reason"] == reason for change in changes.values())) for reason in reasons],
        columns=[change["title"] for change in changes.values()],
        rows=[_map_row(row, by_method[row["method"]], list(changes)) for row in rows if row["method"] in by_method],
        reasons={reason: GROUPS[reason] for reason in reasons},
        chart=charts.robustness(_lines(told, there, changes), summary["confidence"]),
        strip=strip,
        truth=truth,
        known=known,
        reference=catalogue.BY_KEY[told["reference"]].title if told["reference"] else "",
        left_out=_left_out(told["left_out"]),
    )


def _left_out(why: dict[str, str]) -> list[str]:
    """Which changes are left out, by reason."""
    return [
        f"{', '.join(key for key in why if why[key] == reason)} ({reason})" for reason in dict.fromkeys(why.values())
    ]


def _title(result: Result) -> str:
    return titled(result.method.key, result.cost.views)


def _row_of(told: dict[str, Any], key: str, change: str, severity: int) -> dict[str, Any]:
    rows = told["methods"][key]["rows"]
    found: dict[str, Any] = next(row for row in rows if (row["change"], row["severity"]) == (change, severity))
    return found


def _sentences(
    found: Robustness, told: dict[str, Any], there: list[Result], confidence: float, classes: int
) -> list[str]:
    spoken = {change: _middle(found, change) for change in SPOKEN.values() if change in found.changes}
    said = [_about(found, told, there, change, severity) for change, severity in spoken.items()]
    if len(there) > 1:
        pairs = [[found.wrong_after(one.method.key, *at) for one in there[:2]] for at in spoken.items()]
        p_values = significance.holm([significance.mcnemar(*pair) for pair in pairs])
        said = [
            f"{sentence} {_verdict(found, there, pair, p, confidence)}"
            for sentence, pair, p in zip(said, pairs, p_values, strict=True)
        ]
    after = [
        *_places(found, there, confidence),
        *_about_cues(found, there, confidence),
        *_from_the_background(told, there, classes),
    ]
    return [*said, *after, *([_sureness(told, there)] if found.changes else [])]


def _sureness(told: dict[str, Any], there: list[Result]) -> str:
    """Do probabilities fall as errors rise? Means over all changes, each the mean over its severities."""
    said = []
    for result in there:
        means = {name: _mean_over_changes(told, result.method.key, name) for name in ("confidence", "top1_error")}
        kept = _mean_over_changes(told, result.method.key, "unchanged")
        said.append(
            f"{_title(result)} keeps its guess on {tenths(kept)} % of the images, gives its guesses a mean "
            f"probability of {tenths(means['confidence'])} %, and is right on {tenths(100 - means['top1_error'])} %"
        )
    return f"In the mean over all changes, {_listed(said)}."


def _mean_over_changes(told: dict[str, Any], key: str, name: str) -> float:
    values: dict[str, list[float]] = {}
    for row in told["methods"][key]["rows"]:
        if row["change"] not in (CLEAN, NOTHING):
            values.setdefault(row["change"], []).append(row[name])
    return sum(sum(own) / len(own) for own in values.values()) / max(len(values), 1)


def _middle(found: Robustness, change: str) -> int:
    """The middle one of the severities that were measured."""
    severities = found.severities(change)
    return severities[len(severities) // 2]


def _places(found: Robustness, there: list[Result], confidence: float) -> list[str]:
    """Under which changes the first two change places, beyond chance in all comparisons together."""
    if len(there) < 2:
        return []
    wrong = [found.wrong[result.method.key] for result in there[:2]]
    ahead = np.sign(wrong[1].sum(axis=1) - wrong[0].sum(axis=1))  # 1 where the first errs less
    p_values = significance.holm([significance.mcnemar(*pair) for pair in zip(*wrong, strict=True)])
    sure = np.array(p_values) < 1 - confidence
    if not sure[0]:
        return []
    first: dict[str, int] = {}
    for (change, severity), turned in zip(found.conditions, sure & (ahead == -ahead[0]), strict=True):
        if turned:
            first.setdefault(change, severity)
    if not first:
        return []
    leader, other = (there[:2] if ahead[0] > 0 else there[1::-1])[:2]
    named = _listed([found.changes[change]["named"][severity - 1] for change, severity in first.items()])
    return [
        f"On the images as they are {_title(leader)} errs less than {_title(other)}. Their order is reversed on images "
        f"that are changed so: {named} (McNemar's tests, Holm-corrected)."
    ]


def _about(found: Robustness, told: dict[str, Any], there: list[Result], change: str, severity: int) -> str:
    """What each of them errs on after a change, beside the image as it is."""
    words = found.changes[change]["named"][severity - 1]
    errors = []
    for result in there:
        row = _row_of(told, result.method.key, change, severity)
        clean = _row_of(told, result.method.key, CLEAN, 0)
        errors.append(
            f"{_title(result)} errs on {tenths(row['top1_error'])} % ({tenths(row['top1_low'])} to "
            f"{tenths(row['top1_high'])}; {tenths(clean['top1_error'])} without the change)"
        )
    return f"{words[0].upper()}{words[1:]}, {_listed(errors)}."


def _verdict(found: Robustness, there: list[Result], wrong: list[np.ndarray], p: float, confidence: float) -> str:
    """Which of the first two, hand-crafted and learned, errs less then, if a paired test can tell."""
    old, new = there[:2]
    test = f"McNemar's test, Holm-corrected, p {p_value(p)}"
    if p >= 1 - confidence:
        both = f"{_title(old)} and {_title(new)}"
        return f"Which of {both} errs less then can't be told from {found.images} images ({test})."
    better, worse = (old, new) if wrong[0].sum() < wrong[1].sum() else (new, old)
    return f"{_title(better)} errs less than {_title(worse)} then, by more than chance ({test})."


def _about_cues(found: Robustness, there: list[Result], confidence: float) -> list[str]:
    """Which cue each of them misses most, where one stands out."""
    said = [sentence for result in there if (sentence := _missed(found, result, confidence))]
    if not said:
        return []
    return [f"Single cues were taken away, too. {_listed(said)}. How much is lost depends on how much is taken away."]


def _from_the_background(told: dict[str, Any], there: list[Result], classes: int) -> list[str]:
    """How often each of them guesses what is not in the picture any more, from what it usually stands before."""
    if NOTHING not in {change["key"] for change in told["changes"]}:
        return []
    said = []
    for result in there:
        row = _row_of(told, result.method.key, NOTHING, 1)
        right, low, high = (tenths(100 - row[name]) for name in ("top1_error", "top1_high", "top1_low"))
        said.append(f"{_title(result)} is right on {right} % ({low} to {high})")
    return [
        f"When the thing is taken out of the picture, its class can be guessed from the background alone, and "
        f"{_listed(said)}. Guessing at random is right on {tenths(100 / classes)} %."
    ]


def _missed(found: Robustness, result: Result, confidence: float) -> str:
    """The cue whose loss costs most, if its interval, and that of its lead over the next one, lie above 0; else ""."""
    key = result.method.key
    clean = found.wrong_after(key, CLEAN, 0).astype(float)
    lost = {change: mean_wrong(found, key, [change]) - clean for change in CUES if change in found.changes}
    most, *others = sorted(lost, key=lambda change: -lost[change].mean()) or [""]
    if not others or interval_of_mean(lost[most], confidence)[0] <= 0:
        return ""
    if interval_of_mean(lost[most] - lost[others[0]], confidence)[0] <= 0:
        return ""
    low, high = (tenths(100 * end) for end in interval_of_mean(lost[most], confidence))
    points = tenths(100 * float(lost[most].mean()))
    return f"{_title(result)} misses {CUES[most]} most: its error rises by {points} points ({low} to {high})"


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
        **{name: own[name] for name in ("corruptions", "mce", "relative_mce")},
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


def _strip(changes: dict[str, Any], there: list[Result], classes: list[str]) -> tuple[list[dict[str, Any]], str, str]:
    """One image after each change, with what the compared methods then take it for; what it is; how many know it.

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
        guesses = [values[0] == label for name, values in found.items() if name.startswith("guess-")]
        return strip, classes[label], f"{sum(map(int, guesses))} of {len(guesses)} methods know it as it is"
    except (KeyError, IndexError, ValueError) as error:
        raise PipelineError(f"{path}: is of another run; rerun the stage {STAGE}") from error
