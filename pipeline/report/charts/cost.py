"""Error against what a method costs, with the methods that no other beats on both."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from pipeline.report.charts.base import Chart, era, finish, top_of
from pipeline.report.charts.names import POINT_SIZE, beside, sides_of_names
from pipeline.report.words import megabytes, milliseconds, seconds, tenths

WIDTH, HEIGHT = 390, 300
PADDING = 24  # pixels left and right of all points
COSTS = {
    "training_seconds": "training, tuning included (s)",
    "prediction_ms": "prediction (ms an image)",
    "megabytes": "size of the model (MB)",
}
UNITS = {"training_seconds": seconds, "prediction_ms": milliseconds, "megabytes": megabytes}


def cost(rows: list[dict[str, Any]], by: str) -> Chart:
    """Top-1 test error against one of COSTS, on a logarithmic scale; Pareto's front is a line, and named.

    Args:
        rows: of the leaderboard.
        by: a key of COSTS.
    """
    columns = ["title", "era", "test_top1_error", "test_top1_low", "test_top1_high"]
    data = pd.DataFrame(rows)[columns]
    data["cost"] = np.maximum([row[by] for row in rows], 1e-4)  # a logarithmic scale has no zero
    data = data.sort_values(["cost", "test_top1_error"], ignore_index=True)
    data["front"] = data["test_top1_error"] < data["test_top1_error"].cummin().shift(fill_value=101)
    top = top_of(data["test_top1_high"])
    x = alt.X("cost:Q", scale=alt.Scale(type="log", padding=PADDING, nice=False), title=f"{COSTS[by]}, log scale",
              axis=alt.Axis(format="~g", tickCount=5))  # fmt: skip
    y = alt.Y("test_top1_error:Q", title="top-1 test error (%)", scale=alt.Scale(domain=[0, top], nice=False))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("cost:Q", format=",.4~g", title=COSTS[by]),
        alt.Tooltip("test_top1_error:Q", format=".2f", title="top-1 error (%)"),
    ]
    base = alt.Chart(data)
    front = base.transform_filter("datum.front")
    line = front.mark_line(interpolate="step-after", strokeWidth=1.5, color="#888888").encode(x=x, y=y)
    low, high = alt.Y("test_top1_low:Q"), alt.Y2("test_top1_high:Q")
    rules = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=x, y=low, y2=high, color=era(data["era"]), tooltip=tooltip
    )
    points = base.mark_point(filled=True, size=POINT_SIZE, opacity=1).encode(
        x=x, y=y, color=era(data["era"]), tooltip=tooltip
    )
    exponents = np.log(data["cost"])
    across = (exponents - exponents.min()) / max(exponents.max() - exponents.min(), 1e-9)
    places = zip(PADDING + (WIDTH - 2 * PADDING) * across, HEIGHT * data["test_top1_error"] / top, strict=True)
    sides = sides_of_names(list(places), data["title"].tolist(), data["front"].tolist())
    data["side"] = sides
    listed = "; ".join(f"{row['title']} ({UNITS[by](row['cost'])}, {tenths(row['test_top1_error'])} %)"
                       for row in data[data["front"]].to_dict("records"))  # fmt: skip
    seen = f"No other method is both cheaper and better than these: {listed}."
    chart = alt.layer(line, rules, points, *beside(base, x, y, sides)).properties(width=WIDTH, height=HEIGHT)
    return finish(f"cost-{by.split('_')[0]}", chart, f"Top-1 test error against {COSTS[by]}.", seen)
