"""Two timelines: the methods of this comparison by year, and ILSVRC's winners."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from pipeline.report.charts.base import Chart, era, finish, top_of
from pipeline.report.charts.names import POINT_SIZE, beside, sides_of_names
from pipeline.report.ilsvrc import PERSON, WINNERS
from pipeline.report.words import tenths

WIDTH, HEIGHT = 390, 280
TURN = 2011.5  # between the last winner with features made by hand and the first with learned ones


def here(rows: list[dict[str, Any]], dataset: str) -> Chart:
    """Top-1 error by the year of the method's publication; the line is the best of all up to that year."""
    columns = ["title", "year", "era", "test_top1_error", "test_top1_low", "test_top1_high"]
    data = pd.DataFrame(sorted(rows, key=lambda row: (row["year"], row["test_top1_error"])))[columns]
    alone = data["era"] != "pretrained"  # who learned from other images as well is not in this race
    data["best_so_far"] = data["test_top1_error"].where(alone).cummin().ffill()
    domain = [min(2009, int(data["year"].min()) - 2), max(2018, int(data["year"].max()) + 2)]
    top = top_of(data["test_top1_high"])
    x = alt.X("year:Q", title="year of publication", axis=alt.Axis(format="d", tickCount=7),
              scale=alt.Scale(domain=domain, nice=False, zero=False))  # fmt: skip
    y = alt.Y("test_top1_error:Q", title="top-1 test error (%)", scale=alt.Scale(domain=[0, top], nice=False))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("year:O"),
        alt.Tooltip("test_top1_error:Q", format=".2f", title="error (%)"),
        alt.Tooltip("test_top1_low:Q", format=".2f", title="from"),
        alt.Tooltip("test_top1_high:Q", format=".2f", title="to"),
    ]
    base = alt.Chart(data)
    line = base.mark_line(interpolate="step-after", strokeWidth=1.5, color="#888888").encode(x=x, y="best_so_far:Q")
    low, high = alt.Y("test_top1_low:Q"), alt.Y2("test_top1_high:Q")
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=x, y=low, y2=high, color=era(data["era"]), tooltip=tooltip
    )
    points = base.mark_point(filled=True, size=POINT_SIZE, opacity=1).encode(
        x=x, y=y, color=era(data["era"]), tooltip=tooltip
    )
    steps = data.groupby("year", as_index=False).last()
    steps = steps[steps["best_so_far"] < steps["best_so_far"].shift(fill_value=101)]
    listed = "; ".join(f"{int(row['year'])}: {tenths(row['best_so_far'])} %" for row in steps.to_dict("records"))
    lowered = data["test_top1_error"] < data["best_so_far"].shift(fill_value=101)
    first_year, last_year = domain
    places = [
        (WIDTH * (year - first_year) / (last_year - first_year), HEIGHT * error / top)
        for year, error in zip(data["year"], data["test_top1_error"], strict=True)
    ]
    turn = WIDTH * (TURN - first_year) / (last_year - first_year)
    sides = sides_of_names(places, data["title"].tolist(), lowered.tolist(), [turn])
    data["side"] = sides
    layers = (_turn(x), line, intervals, points, *beside(base, x, y, sides))
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=f"Here: {dataset}")
    return finish(
        "story-here", chart, "Top-1 test error by year of publication.", f"The best up to each year: {listed}."
    )


def ilsvrc() -> Chart:
    """Top-5 error of ILSVRC's winners, and of one trained person."""
    data = pd.DataFrame([vars(winner) for winner in WINNERS])
    x = alt.X("year:Q", title="year of the competition", axis=alt.Axis(format="d", tickCount=8),
              scale=alt.Scale(domain=[2009.4, 2017.6], nice=False, zero=False))  # fmt: skip
    y = alt.Y("top5_error:Q", title="top-5 test error (%)", scale=alt.Scale(zero=True, domain=[0, 30]))
    tooltip = ["system:N", "year:O", alt.Tooltip("top5_error:Q", title="error (%)")]
    base = alt.Chart(data)
    bars = base.mark_bar(size=26, opacity=0.85).encode(x=x, y=y, color=era(), tooltip=tooltip)
    text = base.mark_text(dy=-7, fontSize=12).encode(x=x, y=y, text=alt.Text("top5_error:Q", format=".1f"))
    person = pd.DataFrame([{"year": 2017.55, "error": PERSON, "label": f"one trained person, {PERSON}"}])
    rule = alt.Chart(person).mark_rule(strokeDash=[4, 3], color="#888888").encode(y="error:Q")
    label = alt.Chart(person).mark_text(align="right", dy=-7, fontSize=12).encode(x="year:Q", y="error:Q", text="label")
    listed = "; ".join(f"{winner.year} {winner.system} {winner.top5_error} %" for winner in WINNERS)
    chart = (_turn(x) + bars + text + rule + label).properties(width=WIDTH, height=HEIGHT, title="ImageNet: ILSVRC")
    return finish("story-ilsvrc", chart, f"Top-5 error of ILSVRC's winners: {listed}; one trained person: {PERSON} %.")


def _turn(x: alt.X) -> alt.Chart:
    data = pd.DataFrame({"year": [TURN]})
    return alt.Chart(data).mark_rule(color="#888888", strokeWidth=1).encode(x=x)
