"""Test error with its interval, method by method."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from pipeline.report.charts.base import Chart, era, finish
from pipeline.report.words import tenths


def errors(rows: list[dict[str, Any]], k: int, confidence: float) -> Chart:
    """Top-k test error by method, oldest first.

    Args:
        rows: of the leaderboard.
        k: 1 or 5.
        confidence: of the intervals.
    """
    columns = ["title", "year", "era", *(f"test_top{k}_{name}" for name in ("error", "low", "high"))]
    data = pd.DataFrame(sorted(rows, key=lambda row: (row["year"], row["method"])))[columns]
    data["label"] = [f"{year}  {title}" for year, title in zip(data["year"], data["title"], strict=True)]
    y = alt.Y("label:N", sort=None, title=None)
    low, high = (alt.X(f"test_top{k}_low:Q"), alt.X2(f"test_top{k}_high:Q"))
    x = alt.X(f"test_top{k}_error:Q", title=f"top-{k} test error (%)", scale=alt.Scale(zero=True))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("year:O"),
        *(
            alt.Tooltip(f"test_top{k}_{name}:Q", format=".2f", title=text)
            for name, text in (("error", "error (%)"), ("low", "from"), ("high", "to"))
        ),
    ]
    base = alt.Chart(data)
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=low, x2=high, y=y, color=era(data["era"]), tooltip=tooltip
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=era(data["era"]), tooltip=tooltip)
    text = base.mark_text(align="left", dx=9, dy=-8, fontSize=12).encode(
        x=x, y=y, text=alt.Text(f"test_top{k}_error:Q", format=".1f")
    )
    listed = "; ".join(f"{row['title']} {tenths(row[f'test_top{k}_error'])} %" for row in data.to_dict("records"))
    chart = (intervals + points + text).properties(width=300, height=alt.Step(28))
    return finish(f"errors-top{k}", chart, f"Top-{k} test error with {100 * confidence:.0f} % intervals: {listed}.")
