"""Where methods fail: what is taken for what, and class by class."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from pipeline.report.charts.base import ERA_COLOURS, Chart, finish
from pipeline.report.charts.names import chartable

SIDE = 360


def confusion(counts: np.ndarray, classes: list[str], title: str, era: str) -> Chart:
    """True class by guessed class, in percent of the true class: the stronger the colour, the more.

    Args:
        counts: int (classes, classes), true class by first guess.
        classes: their names.
        title: of the method.
        era: of the method.
    """
    classes = [chartable(name) for name in classes]
    rows = confusion_rows(counts, classes)
    side = max(9, min(26, SIDE // len(classes)))
    step = alt.Step(side)
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect(color=ERA_COLOURS[era], stroke="#888888", strokeWidth=0.15)
        .encode(
            x=alt.X("guess:N", sort=classes, title="first guess", axis=alt.Axis(labelAngle=-60, labelLimit=110)),
            y=alt.Y("truth:N", sort=classes, title="true class", axis=alt.Axis(labelLimit=110)),
            opacity=alt.Opacity("percent:Q", title="% of class", scale=alt.Scale(domain=[0, 100], range=[0, 1])),
            tooltip=["truth:N", "guess:N", "images:Q", alt.Tooltip("percent:Q", format=".1f")],
        )
        .properties(width=step, height=step)
    )
    right = np.trace(counts) / max(counts.sum(), 1)
    text = f"Confusion of {title}: {100 * right:.1f} % of the first guesses lie on the diagonal."
    return finish("confusion", chart, text)


def confusion_rows(counts: np.ndarray, classes: list[str]) -> list[dict[str, Any]]:
    """What the chart's script makes of counts too, when another method is chosen."""
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return [
        {"truth": classes[i], "guess": classes[j], "percent": round(float(share[i, j]), 2), "images": int(counts[i, j])}
        for i in range(len(classes))
        for j in range(len(classes))
    ]


def classes_against(a: list[float | None], b: list[float | None], classes: list[str], titles: tuple[str, str]) -> Chart:
    """Error of each class with one method (across) against that with another (up); on the line both err as often.

    Args:
        a, b: test error in percent by class; None without images.
        classes: their names.
        titles: of the two methods.
    """
    rows = zip(map(chartable, classes), a, b, strict=True)
    known = [row for row in rows if row[1] is not None and row[2] is not None]
    data = pd.DataFrame(known, columns=["class", "a", "b"])
    x = alt.X("a:Q", title="error (%) of the first")
    y = alt.Y("b:Q", title="error (%) of the second")
    tooltip = [
        "class:N",
        alt.Tooltip("a:Q", format=".1f", title="error of the first (%)"),
        alt.Tooltip("b:Q", format=".1f", title="error of the second (%)"),
    ]
    points = alt.Chart(data).mark_point(filled=True, size=60, opacity=0.75, color="#777777").encode(
        x=x, y=y, tooltip=tooltip
    )  # fmt: skip
    most = float(data[["a", "b"]].max(axis=None)) if len(data) else 100.0
    ends = pd.DataFrame([{"a": 0.0, "b": 0.0}, {"a": most, "b": most}])
    line = alt.Chart(ends).mark_line(color="#888888", strokeDash=[4, 3], strokeWidth=1).encode(x="a:Q", y="b:Q")
    better, worse = int((data["b"] < data["a"]).sum()), int((data["b"] > data["a"]).sum())
    text = f"Error by class: {titles[0]} across, {titles[1]} up."
    text += f" {titles[1]} errs less on {better} classes, more on {worse}."
    return finish("classes", (line + points).properties(width=SIDE, height=SIDE), text)
