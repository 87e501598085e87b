"""The picture at the top of README.md: python -m scripts.draw_curves writes it anew, as docs/curve-cifar10.svg.

It is drawn from curve.json and crossing.json in reports/published/cifar10/. Lines are means over three seeds, and bands
reach from the best seed to the worst. What has been measured with fewer seeds is left out.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import vl_convert

from pipeline import catalogue
from pipeline.files import atomic
from pipeline.report.charts.curve import curve

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published" / "cifar10"
PICTURE = ROOT / "docs" / "curve-cifar10.svg"
SHOWN = ("hog", "xrce2011", "airbench", "efficientnet_lite0")
SIZES = range(100, 2001)  # beyond, not all of them are measured
SEEDS = 3
LEVEL = 0.95


def rows(fits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each method and number of images the mean error over seeds, the least and the largest."""
    found = []
    for key in SHOWN:
        method = catalogue.BY_KEY[key]
        own = [fit for fit in fits if fit["method"] == key and fit["n"] in SIZES]
        for size in sorted({fit["n"] for fit in own}):
            errors = [fit["top1_error"] for fit in own if fit["n"] == size]
            if len(errors) >= SEEDS:
                found.append({
                    "title": method.title, "era": method.era, "images": size, "seeds": len(errors),
                    "top1_error": fmean(errors), "top1_low": min(errors), "top1_high": max(errors),
                })  # fmt: skip
    return found


def crossing(pairs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Where the two meet that stand for their eras; None where it was not measured."""
    own = next((pair for pair in pairs if (pair["old"], pair["new"]) == ("xrce2011", "airbench")), None)
    return None if own is None else {name: own[name] for name in ("median", "low", "high", "sizes")}


def drawn() -> str:
    """The picture, with a mark of the figures that it shows."""
    fits, pairs = (
        json.loads((PUBLISHED / name).read_text(encoding="utf-8")) for name in ("curve.json", "crossing.json")
    )
    shown, met = rows(fits), crossing(pairs)
    chart = curve(shown, met, LEVEL)
    assert chart is not None
    spec = json.loads(chart.spec)
    spec["config"]["background"] = "white"
    spec["padding"] = {"left": 10, "top": 12, "bottom": 10, "right": 40}
    return f"<!-- {mark(shown, met)} -->\n{vl_convert.vegalite_to_svg(spec)}\n"


def mark(shown: list[dict[str, Any]], met: dict[str, Any] | None) -> str:
    """Changes when a figure does."""
    return hashlib.sha256(json.dumps([shown, met], sort_keys=True).encode()).hexdigest()


def main() -> int:
    """Write the picture."""
    with atomic(PICTURE, "w") as file:
        file.write(drawn())
    return 0


if __name__ == "__main__":
    sys.exit(main())
