"""From how many images on: the sentences about learning curves, and what the page shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import catalogue
from pipeline.curves.kept import Point
from pipeline.errors import PipelineError
from pipeline.evaluation.curves.outlook import MORE
from pipeline.evaluation.curves.rows import table
from pipeline.report.charts.curve import marks
from pipeline.report.crossings import ERAS, Sides, in_short, overtaking, rounded
from pipeline.report.words import seconds, tenths

BOTH = ("hand-crafted", "learned")
NAMES = dict(zip(BOTH, (ERAS.old, ERAS.new), strict=True))


def answer_of(curve: dict[str, Any], confidence: float) -> list[str]:
    """From how many images on which era errs less, what more images would bring, and at what cost.

    Args:
        curve: metrics.json's `curve`.
        confidence: of the intervals.
    """
    found = curve["crossing"]
    if found is None:
        return _elsewhere(curve, confidence)
    first = " ".join([overtaking(found, confidence), *_elsewhere(curve, confidence), _of_whom(curve)])
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


def _of_whom(curve: dict[str, Any]) -> str:
    """Which methods stand for the eras, how they err at both ends, and what the numbers count."""
    parts = []
    for era, name in (NAMES | ({"pretrained": "features from other images"} if curve["elsewhere"] else {})).items():
        rows = curve["eras"][era]["rows"]
        titles = dict.fromkeys(catalogue.BY_KEY[row["method"]].title for row in rows)
        errors = f"{tenths(rows[0]['top1_error'])} % at {rows[0]['images']:,} to {tenths(rows[-1]['top1_error'])} %"
        parts.append(f"{name} ({', '.join(titles)}) from {errors} at {rows[-1]['images']:,}")
    luck = "" if curve["seeded"] else " One seed was trained, so the interval holds the luck of the test images alone."
    return f"Errors fall for {', for '.join(parts[:-1])} and for {parts[-1]}.{luck}"


def _elsewhere(curve: dict[str, Any], confidence: float) -> list[str]:
    """How many images of these it takes to do without features that were learned from other images."""
    if not curve["elsewhere"]:
        return []
    row = curve["elsewhere"][0]
    images = row["images"]
    alone = "methods that learned from these images alone"
    if row["median"] == "never":
        told = f"do with {images:,} labelled images of these what {alone} do not reach with {curve['sizes'][-1]:,}"
    elif row["median"] == "smallest" or row["median"] <= images:
        told = f"err no less with {images:,} labelled images of these than {alone}"
    else:
        low = f"{rounded(row['low']):,}" if isinstance(row["low"], int) else f"{curve['sizes'][0]:,} or fewer"
        high = f"{rounded(row['high']):,}" if isinstance(row["high"], int) else f"more than {curve['sizes'][-1]:,}"
        told = (
            f"do with {images:,} labelled images of these what {alone} do with about {rounded(row['median']):,} "
            f"({100 * confidence:.0f} % interval {low} to {high})"
        )
    return [f"Features that were learned from other images {told}."]


def _more(curve: dict[str, Any]) -> list[str]:
    """What twice and ten times the images would bring."""
    parts = []
    for era, name in NAMES.items():
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
    outlooks = {era: curve["eras"][era]["outlook"] for era in BOTH}
    places = {era: [row["images"] for row in curve["eras"][era]["rows"]] for era in BOTH}
    for size, old, new in zip(found["sizes"], found["old_errors"], found["new_errors"], strict=True):
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
    for era in BOTH:
        key = curve["eras"][era]["rows"][-1]["method"]
        rows = curve["methods"][key]["rows"]
        parts.append(
            f"{catalogue.BY_KEY[key].title} {seconds(rows[0]['train_seconds'])} at {rows[0]['images']:,} and "
            f"{seconds(rows[-1]['train_seconds'])} at {rows[-1]['images']:,}"
        )
    return [f"Training took, tuning included, {'; '.join(parts)}."]


def _worth(curve: dict[str, Any]) -> list[dict[str, Any]]:
    """At each size: the error of features from elsewhere, and how many images others need to err no more."""
    if not curve["elsewhere"]:
        return []
    smallest, largest = curve["sizes"][0], curve["sizes"][-1]

    def told(value: int | str) -> str:
        if value == "never":
            return f"more than {largest:,}"
        return f"{smallest:,} or fewer" if value == "smallest" else f"{rounded(int(value)):,}"

    return [
        row
        | {"title": catalogue.BY_KEY[row["method"]].title}
        | {"needed": _needed(*(told(worth[end]) for end in ("median", "low", "high")))}
        for row, worth in zip(curve["eras"]["pretrained"]["rows"], curve["elsewhere"], strict=True)
    ]


def _needed(median: str, low: str, high: str) -> str:
    return median if low == high else f"{median} ({low} to {high})"


def _pair(pair: dict[str, Any], confidence: float) -> dict[str, Any]:
    """Two methods: their keys and titles, where the network overtakes, in short and in a sentence."""
    sides = Sides.of_methods(pair["old"], pair["new"])
    return {
        "keys": [pair["old"], pair["new"]],
        "old": sides.old,
        "new": sides.new,
        "from": in_short(pair, sides),
        "sentence": overtaking(pair, confidence, sides),
    }


def for_the_script(curve: dict[str, Any] | None, confidence: float) -> dict[str, Any]:
    """What the page's script says and marks for the eras (key "") and for each pair (its keys, with a blank)."""
    if curve is None:
        return {}
    smallest = curve["sizes"][0]
    pairs = {
        f"{pair['old']} {pair['new']}": {
            "pairOld": catalogue.BY_KEY[pair["old"]].title,
            "pairNew": catalogue.BY_KEY[pair["new"]].title,
            **marks(pair, smallest),
            "sentence": _pair(pair, confidence)["sentence"],
        }
        for pair in curve["pairs"]
    }
    eras = {"pairOld": "", "pairNew": "", **marks(curve["crossing"], smallest), "sentence": ""}
    return {"": eras, **pairs}


def shown(curve: dict[str, Any] | None, confidence: float) -> dict[str, Any]:
    """What the section of the page needs beside metrics.json's own numbers.

    Args:
        curve: metrics.json's.
        confidence: of the intervals.
    """
    if curve is None:
        return {"pairs": [], "sides": ({}, {}), "elsewhere": [], "gains": [], "table": [], "left_out": []}
    titles = {key: catalogue.BY_KEY[key].title for key in curve["methods"]}
    return {
        "pairs": [_pair(pair, confidence) for pair in curve["pairs"]],
        "sides": tuple({pair[side]: titles[pair[side]] for pair in curve["pairs"]} for side in ("old", "new")),
        "elsewhere": _worth(curve),
        "gains": gains(curve),
        "table": table(curve),
        "left_out": [
            {"title": titles[key], **row}
            for key, method in curve["methods"].items()
            for row in (method["outlook"] or {"left_out": []})["left_out"]
        ],
    }
