"""Error against the number of labelled images, on logarithmic axes, with bands; where the eras cross is marked."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from pipeline.report.charts.base import Chart, era, finish
from pipeline.report.words import tenths

WIDTH, HEIGHT = 380, 300  # the methods' names stand right of it
PADDING = {"left": 5, "top": 5, "bottom": 5, "right": 30}  # browsers' letters may be wider than those measured
COARSE, FINE = (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)  # ticks of the errors in each power of ten
LOWEST = 0.01  # %, for a logarithmic axis has no zero


def curve(rows: list[dict[str, Any]], crossing: dict[str, Any] | None, confidence: float) -> Chart | None:
    """A line and a band for each method.

    Args:
        rows: of report.curves.table.
        crossing: metrics.json's, of the eras; its interval is shaded where both ends are numbers.
        confidence: of the bands.

    Returns:
        None with one size, which is no curve.
    """
    if len({row["images"] for row in rows}) < 2:
        return None
    data = pd.DataFrame(rows)[["title", "era", "images", "top1_error", "top1_low", "top1_high", "seeds"]]
    for name in ("top1_error", "top1_low", "top1_high"):
        data[name] = data[name].clip(lower=LOWEST)
    data["last"] = data["images"] == data.groupby("title")["images"].transform("max")
    largest, smallest = int(data["images"].max()), int(data["images"].min())
    axis = alt.Axis(format=",~r", values=sorted(set(data["images"])), labelOverlap="greedy", grid=False)
    across = alt.Scale(type="log", domain=[smallest, largest], nice=False)
    x = alt.X("images:Q", title="labelled images (train and val together)", axis=axis, scale=across)
    bottom, top = float(data["top1_low"].min()), float(data["top1_high"].max())
    ticks = _ticks(COARSE if top > 10 * bottom else FINE)
    y = alt.Y("top1_error:Q", title="top-1 test error (%)", axis=alt.Axis(format="~g", values=ticks),
              scale=alt.Scale(type="log", domain=[0.9 * bottom, min(105.0, 1.1 * top)], nice=False))  # fmt: skip
    base = alt.Chart(data)
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("images:Q", format=",", title="labelled images"),
        alt.Tooltip("top1_error:Q", format=".2f", title="top-1 error (%)"),
        alt.Tooltip("top1_low:Q", format=".2f", title=f"{100 * confidence:.0f} % interval from"),
        alt.Tooltip("top1_high:Q", format=".2f", title="to"),
        alt.Tooltip("seeds:Q"),
    ]
    bands = base.mark_area().encode(
        x=x, y=alt.Y("top1_low:Q"), y2="top1_high:Q", color=era(data["era"]), detail="title:N", tooltip=tooltip,
        opacity=_of_pair(0.18, 0.03),
    )  # fmt: skip
    lines = base.mark_line(strokeWidth=2).encode(
        x=x, y=y, color=era(data["era"]), detail="title:N", opacity=_of_pair(1.0)
    )
    points = base.mark_point(filled=True, size=45).encode(
        x=x, y=y, color=era(data["era"]), tooltip=tooltip, opacity=_of_pair(1.0)
    )
    names = (
        base.transform_filter("datum.last")
        .mark_text(align="left", dx=8, fontSize=12)
        .encode(x=x, y=y, text="title:N", color=era(data["era"]), opacity=_of_pair(1.0))
    )
    layers = [*_crossing(across), bands, lines, points, names]
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, padding=PADDING)
    settable = {"pairOld": "", "pairNew": "", **marks(crossing, smallest)}
    chart = chart.add_params(*(alt.param(name=name, value=value) for name, value in settable.items()))
    ends = "; ".join(
        f"{row['title']} {tenths(row['top1_error'])} % at {row['images']:,}"
        for row in data[data["last"]].to_dict("records")
    )
    return finish("curve", chart, "Top-1 test error by the number of labelled images.", f"At the end: {ends}.")


def _ticks(each: tuple[float, ...]) -> list[float]:
    """From LOWEST to all, in percent."""
    return [tick * scale for scale in (0.01, 0.1, 1, 10) for tick in each] + [100]


def _of_pair(opacity: float, others: float = 0.15) -> Any:
    """Other methods fade once the page's script has set a pair."""
    shown = "pairOld === '' || datum.title === pairOld || datum.title === pairNew"
    return alt.condition(shown, alt.value(opacity), alt.value(others))


def marks(found: dict[str, Any] | None, smallest: int) -> dict[str, Any]:
    """Where to mark a crossing: its median and its interval, cut at the sizes tried.

    Args:
        found: a crossing as metrics.json has it; without a number for its median nothing is marked.
        smallest: of the sizes.
    """
    if found is None or not isinstance(found["median"], int):
        return {"crossShown": False, "crossLow": smallest, "crossAt": smallest, "crossHigh": smallest}
    low = found["low"] if isinstance(found["low"], int) else found["sizes"][0]
    high = found["high"] if isinstance(found["high"], int) else found["sizes"][-1]
    return {"crossShown": True, "crossLow": low, "crossAt": found["median"], "crossHigh": high}


def _crossing(scale: alt.Scale) -> list[Any]:
    """A line where networks overtake, and a shade over its interval."""
    one = alt.Chart(pd.DataFrame([{"crossing": 0}]))
    low, at = (alt.XDatum(alt.ExprRef(name), type="quantitative", scale=scale) for name in ("crossLow", "crossAt"))
    shade = one.mark_rect(aria=False, color="#888888", opacity=alt.ExprRef("crossShown ? 0.12 : 0"))
    rule = one.mark_rule(aria=False, color="#888888", strokeDash=[5, 4], opacity=alt.ExprRef("crossShown ? 1 : 0"))
    return [shade.encode(x=low, x2=alt.X2Datum(alt.ExprRef("crossHigh"))), rule.encode(x=at)]
