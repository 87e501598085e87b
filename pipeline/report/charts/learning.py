"""How methods learned: networks by epoch, their gradients by depth, SVMs by the weight of errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from pipeline.report.charts.base import ERA_COLOURS, Chart, era, finish
from pipeline.report.words import tenths

COLUMNS, WIDTH, HEIGHT = 3, 190, 140


def curves(rows: list[dict[str, Any]], titles: Mapping[str, str]) -> Chart | None:
    """Train and val error by epoch, a picture for each network; a circle marks the epoch that was kept.

    Args:
        rows: of plots/learning_curves.csv.
        titles: of networks, by key.

    Returns:
        None without networks.
    """
    if not rows:
        return None
    data = _titled(rows, "network", titles)
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, tickCount=5))
    y = alt.Y("error:Q", title="top-1 error (%)", scale=alt.Scale(zero=True))
    dash = _dashes("split", "split", "val", "train")
    tooltip = ["title:N", "split:N", "epoch:Q", alt.Tooltip("error:Q", format=".2f", title="error (%)")]
    base = alt.Chart()
    colour = ERA_COLOURS["learned"]
    lines = base.mark_line(strokeWidth=2, color=colour).encode(x=x, y=y, strokeDash=dash, tooltip=tooltip)
    kept = base.transform_filter("datum.kept").mark_point(size=90, strokeWidth=2, color=colour)
    listed = "; ".join(f"{row['title']}: best val error {tenths(row['error'])} % in epoch {row['epoch']}"
                       for row in data[data["kept"]].to_dict("records"))  # fmt: skip
    chart = _small_pictures(lines + kept.encode(x=x, y=y, tooltip=tooltip), data)
    return finish("learning", chart, "Error by epoch on train (dashed) and val.", f"{listed}.")


def gradients(rows: list[dict[str, Any]], titles: Mapping[str, str]) -> Chart | None:
    """Size of each layer's gradient against its depth, after the first epoch and after the one that was kept.

    Args:
        rows: of plots/gradients.csv.
        titles: of networks, by key.

    Returns:
        None without networks of more than one layer.
    """
    drawn = [row for row in rows if 0 < row["gradient"] < math.inf]  # a logarithmic scale has no zero
    if not any(row["number"] > 1 for row in drawn):
        return None
    data = _titled(drawn, "network", titles)
    when = _dashes("when", "after epoch", "kept", "first")
    colour = ERA_COLOURS["learned"]
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=2, color=colour, point=alt.OverlayMarkDef(size=22, color=colour))
        .encode(
            x=alt.X("number:Q", title="layer, from the image on", axis=alt.Axis(tickMinStep=1, tickCount=5)),
            y=alt.Y(
                "gradient:Q",
                title="gradient (rms)",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format="~e", tickCount=4),
            ),
            strokeDash=when,
            tooltip=["title:N", "layer:N", "when:N", "epoch:Q", alt.Tooltip("gradient:Q", format=".2e")],
        )
    )
    listed = "; ".join(f"{titles[key]}: {ratio}" for key, ratio in _first_against_last(rows).items())
    seen = f"First layer's against the last's after one epoch: {listed}."
    return finish("gradients", _small_pictures(lines, data), "Gradients by layer.", seen)


def _first_against_last(rows: list[dict[str, Any]]) -> dict[str, str]:
    """For each network, in words, the first layer's gradient as a multiple of the last's after the first epoch."""
    layers: dict[str, list[float]] = {}
    for row in rows:
        if row["when"] == "first":
            layers.setdefault(row["network"], []).append(row["gradient"])
    return {
        key: f"{sizes[0] / sizes[-1]:.2g}" if sizes[-1] > 0 and math.isfinite(sizes[0] / sizes[-1]) else "not finite"
        for key, sizes in layers.items()
    }


def costs_of_errors(rows: list[dict[str, Any]], titles: Mapping[str, str]) -> Chart | None:
    """Val error of each SVM against C, the weight of its errors.

    Args:
        rows: of tables/tuning.csv, those of SVMs, each with its method's `era`.
        titles: of methods, by key.

    Returns:
        None without SVMs.
    """
    if not rows:
        return None
    data = _titled(rows, "method", titles)
    data["percent"] = 100 * data["val_error"]
    x = alt.X("value:Q", title="C", scale=alt.Scale(type="log"), axis=alt.Axis(format="~g", tickCount=4))
    y = alt.Y("percent:Q", title="top-1 error on val (%)", scale=alt.Scale(zero=False, padding=8))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("candidate:N"),
        alt.Tooltip("percent:Q", format=".2f", title="error on val (%)"),
    ]
    colour = era().legend(None)
    base = alt.Chart()
    # A candidate with another weight of positives is a point of its own; the line joins the best of each C.
    lowest = alt.Y("min(percent):Q", title="top-1 error on val (%)")
    line = base.mark_line(strokeWidth=2).encode(x=x, y=lowest, color=colour)
    points = base.mark_point(size=30, filled=True, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    kept = base.transform_filter("datum.chosen").mark_point(size=110, strokeWidth=2)
    kept = kept.encode(x=x, y=y, color=colour, tooltip=tooltip)
    chosen = data[data["chosen"]].to_dict("records")
    listed = "; ".join(f"{row['title']}: {row['candidate']}, {tenths(row['percent'])} %" for row in chosen)
    chart = _small_pictures(line + points + kept, data).resolve_scale(y="independent")
    return finish("svm-c", chart, "Val error of SVMs against C.", f"Kept: {listed}.")


def _titled(rows: list[dict[str, Any]], column: str, titles: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame([row | {"title": titles[row[column]]} for row in rows])


def _dashes(column: str, title: str, solid: str, dashed: str) -> alt.StrokeDash:
    scale = alt.Scale(domain=[solid, dashed], range=[[1, 0], [4, 3]])
    legend = alt.Legend(symbolType="stroke", symbolStrokeColor=ERA_COLOURS["learned"], titleOrient="left")
    return alt.StrokeDash(f"{column}:N", title=title, scale=scale, legend=legend)


def _small_pictures(chart: Any, data: pd.DataFrame) -> Any:
    """A picture for each title; the chart itself has no data, or each picture would show all."""
    columns = min(COLUMNS, data["title"].nunique())
    order = list(dict.fromkeys(data["title"]))
    facet = alt.Facet("title:N", title=None, sort=order)
    return chart.properties(width=WIDTH, height=HEIGHT).facet(facet=facet, columns=columns, data=data)
