"""From how many images on: the sentences about learning curves, and what the page shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import catalogue
from pipeline.curves.kept import Point
from pipeline.errors import PipelineError
from pipeline.evaluation.curves.outlook import MORE
from pipeline.evaluation.curves.rows import table
from pipeline.report.words import seconds, tenths

ERAS = {"hand-crafted": "hand-crafted features", "learned": "networks"}
FORMS_APART = 1.5  # by this factor extrapolations of two forms differ, when both are named


def answer_of(curve: dict[str, Any], confidence: float) -> list[str]:
    """From how many images on which era errs less, what more images would bring, and at what cost.

    Args:
        curve: metrics.json's `curve`.
        confidence: of the intervals.
    """
    found = curve["crossing"]
    if found is None:
        return []
    first = f"{overtaking(found, confidence)} {_of_whom(curve)}"
    return [first, *_more(curve), *_next_images(curve), *_prices(curve)]


def check_some(points: Mapping[str, Sequence[Point]]) -> None:
    """Where curves were wanted, some fit must have succeeded.

    Args:
        points: of each method, by its key.

    Raises:
        PipelineError: none has; says why the first failed.
    """
    found = [(key, point) for key, several in points.items() for point in several]
    if not found or any(point.failed is None for _, point in found):
        return
    key, first = found[0]
    which = f", {catalogue.BY_KEY[key].title} with {first.size:,} images from seed {first.seed}" if first.size else ""
    raise PipelineError(f"learning curves: every fit failed; the first{which}: {first.failed}")


def overtaking(found: dict[str, Any], confidence: float) -> str:
    """One sentence for each kind of outcome; see evaluation.curves.crossing.

    Args:
        found: a crossing, as metrics.json has it.
    """
    smallest, largest = found["sizes"][0], found["sizes"][-1]
    interval = f"{100 * confidence:.0f} % interval"
    if found["kind"] == "always":
        return f"Networks err less than hand-crafted features from the smallest number tried on, {_images(smallest)}."
    if found["kind"] == "never":
        return (
            f"Networks do not overtake hand-crafted features within these {_images(largest)}"
            f"{_meeting(found['meeting'], interval)}."
        )
    if found["kind"] == "reversed":
        return f"Which era errs less changes more than once: {_in_turn(found)}."
    if found["kind"] == "undecided":
        return (
            f"Which era errs less can't be told from {smallest:,} to {_images(largest)}: differences like these can "
            "be chance."
        )
    low, high = found["low"], found["high"]
    least = f"{smallest:,} or fewer" if low == "smallest" else f"{rounded(low):,}"
    most = f"more than the {largest:,} that there are" if high == "never" else f"{rounded(high):,}"
    if found["median"] == "smallest" and high == "never":
        return (
            f"Networks probably err less than hand-crafted features from the smallest number tried on, "
            f"{_images(smallest)}, but a difference like that at {largest:,} can be chance."
        )
    if found["median"] == "smallest":
        return (
            f"Networks err less than hand-crafted features from {_images(rounded(high))} on at the latest, and "
            f"probably from the smallest number tried on, {smallest:,} ({interval})."
        )
    if found["median"] == "never":
        return (
            f"Networks probably do not overtake hand-crafted features within these {_images(largest)}, and not with "
            f"fewer than {least} ({interval})."
        )
    return (
        f"From about {_images(rounded(found['median']))} on, networks err less than hand-crafted features "
        f"({interval} {least} to {most})."
    )


def in_short(found: dict[str, Any]) -> str:
    """For a cell of a table: from how many images on the network of a pair errs less."""
    if found["kind"] in ("reversed", "undecided"):
        return {"reversed": f"changes: {_in_turn(found)}", "undecided": "can't be told"}[found["kind"]]
    smallest, largest = f"{found['sizes'][0]:,}", f"{found['sizes'][-1]:,}"
    if found["kind"] != "crossing":
        return f"from {smallest} on, the smallest number" if found["kind"] == "always" else f"not within {largest}"
    low = smallest if found["low"] == "smallest" else f"{rounded(found['low']):,}"
    high = f"more than {largest}" if found["high"] == "never" else f"{rounded(found['high']):,}"
    if isinstance(found["median"], int):
        return f"from about {rounded(found['median']):,} on ({low} to {high})"
    return f"perhaps from {low} to {high} on"


def rounded(value: int) -> int:
    """To two digits: a crossing is not known better."""
    digits = 10 ** max(0, len(str(value)) - 2)
    return round(value / digits) * digits


def _images(count: int) -> str:
    return f"{count:,} labelled images"


def _meeting(meeting: dict[str, Any] | None, interval: str) -> str:
    """Where the curves would meet beyond the largest size."""
    if meeting is None:
        return "; there are too few sizes to say where they would"
    forms = {form: value for form, value in meeting["forms"].items() if value is not None}
    if meeting["images"] is None:
        some = f", though {' and '.join(forms)} would have them meet" if forms else ""
        return f"; the curves would not meet with up to {meeting['up_to']:,} either, an extrapolation{some}"
    low, high = (f"{rounded(meeting[end]):,}" if meeting[end] else "never" for end in ("low", "high"))
    values = [rounded(value) for value in forms.values()]
    apart = len(forms) < len(meeting["forms"]) or max(values) > FORMS_APART * min(values)
    others = ""
    if apart:
        told = [f"{form} {rounded(value):,}" if value else f"{form} never" for form, value in meeting["forms"].items()]
        others = f"; forms of curve disagree: {', '.join(told)}"
    near = f"; the curves would meet near {rounded(meeting['images']):,}, an extrapolation"
    return f"{near} ({interval} {low} to {high}{others})"


def _in_turn(found: dict[str, Any]) -> str:
    """Who is ahead at which sizes, those that are decided."""
    runs: list[tuple[str, list[int]]] = []
    for size, winner in zip(found["sizes"], found["winners"], strict=True):
        if winner == "undecided":
            continue
        if runs and runs[-1][0] == winner:
            runs[-1][1].append(size)
        else:
            runs.append((winner, [size]))
    told = [
        f"{ERAS[winner]} at {sizes[0]:,} to {sizes[-1]:,}" if len(sizes) > 1 else f"{ERAS[winner]} at {sizes[0]:,}"
        for winner, sizes in runs
    ]
    return f"{', then '.join(told)} labelled images"


def _of_whom(curve: dict[str, Any]) -> str:
    """Which methods stand for the eras, how they err at both ends, and what the numbers count."""
    parts = []
    for era, name in ERAS.items():
        rows = curve["eras"][era]["rows"]
        titles = dict.fromkeys(catalogue.BY_KEY[row["method"]].title for row in rows)
        errors = f"{tenths(rows[0]['top1_error'])} % at {rows[0]['images']:,} to {tenths(rows[-1]['top1_error'])} %"
        parts.append(f"{name} ({', '.join(titles)}) from {errors} at {rows[-1]['images']:,}")
    luck = "" if curve["seeded"] else " One seed was trained, so the interval holds the luck of the test images alone."
    return f"Errors fall for {' and for '.join(parts)}.{luck}"


def _more(curve: dict[str, Any]) -> list[str]:
    """What twice and ten times the images would bring."""
    parts = []
    for era, name in ERAS.items():
        outlook = curve["eras"][era]["outlook"]
        if outlook is None:
            return []
        now = curve["eras"][era]["rows"][-1]["top1_error"]
        twice, ten = outlook["times_2"], outlook["times_10"]
        parts.append(f"{name} from {tenths(now)} to about {_with_range(twice)} and {_with_range(ten)}")
    return [f"Twice and ten times the images would bring {', '.join(parts)}; this is an extrapolation."]


def _with_range(value: dict[str, Any]) -> str:
    """An extrapolated error with the range of the forms."""
    found = list(value["forms"].values())
    low, high = tenths(min(found)), tenths(max(found))
    return f"{tenths(value['error'])} %" if low == high else f"{tenths(value['error'])} % ({low} to {high})"


def gains(curve: dict[str, Any]) -> list[dict[str, Any]]:
    """At each size, in points: what switching to the better era brings, and 100 more images to the worse one."""
    found, rows = curve["crossing"], []
    if found is None:
        return []
    outlooks = {era: curve["eras"][era]["outlook"] for era in ERAS}
    places = {era: [row["images"] for row in curve["eras"][era]["rows"]] for era in ERAS}
    for size, old, new in zip(found["sizes"], found["hand-crafted_errors"], found["learned_errors"], strict=True):
        worse = "hand-crafted" if old > new else "learned"
        outlook = outlooks[worse]
        more = None if outlook is None else outlook[f"with_{MORE}_more"][places[worse].index(size)]
        rows.append({"images": size, "worse": worse, "switch": abs(old - new), "more": more})
    return rows


def _next_images(curve: dict[str, Any]) -> list[str]:
    """When labelling 100 more images beats switching to the other era."""
    rows = [row for row in gains(curve) if row["more"] is not None]
    better = [row["images"] for row in rows if row["more"] > row["switch"]]
    if not rows:
        return []
    if not better:
        return [f"At every number of images tried, switching to the better era brings more than {MORE} more images."]
    listed = ", ".join(f"{size:,}" for size in better)
    return [f"With {listed} labelled images, {MORE} more bring the worse era more than switching to the other does."]


def _prices(curve: dict[str, Any]) -> list[str]:
    """What training costs at the smallest and at the largest size."""
    parts = []
    for era in ERAS:
        key = curve["eras"][era]["rows"][-1]["method"]
        rows = curve["methods"][key]["rows"]
        parts.append(
            f"{catalogue.BY_KEY[key].title} {seconds(rows[0]['train_seconds'])} at {rows[0]['images']:,} and "
            f"{seconds(rows[-1]['train_seconds'])} at {rows[-1]['images']:,}"
        )
    return [f"Training took, tuning included, {'; '.join(parts)}."]


def shown(curve: dict[str, Any] | None) -> dict[str, Any]:
    """What the section of the page needs beside metrics.json's own numbers."""
    if curve is None:
        return {"pairs": [], "gains": [], "table": [], "left_out": []}
    titles = {key: catalogue.BY_KEY[key].title for key in curve["methods"]}
    return {
        "pairs": [
            {
                "old": titles[pair["hand-crafted"]],
                "new": titles[pair["learned"]],
                "from": in_short(pair),
            }
            for pair in curve["pairs"]
        ],
        "gains": gains(curve),
        "table": table(curve),
        "left_out": [
            {"title": titles[key], **row}
            for key, method in curve["methods"].items()
            for row in (method["outlook"] or {"left_out": []})["left_out"]
        ],
    }
