"""The report's charts as Vega-Lite specifications (Altair), each also rendered to SVG for readers without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from pipeline.report.answer import tenths

#: One colour per era throughout, told apart by colour-blind readers too (Okabe & Ito).
ERA_COLOURS = {"hand-crafted": "#c25400", "learned": "#0072b2"}
LINE_COLOURS = ["#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555"]
WIDTH = 620


@dataclass(frozen=True)
class Chart:
    """A chart in its two forms.

    Attributes:
        key: identifies it in the page.
        spec: Vega-Lite as JSON text, safe inside a <script> element.
        svg: the same, drawn.
        alt: what a reader who can't see it should know.
    """

    key: str
    spec: str
    svg: str
    alt: str


def errors(rows: list[dict[str, Any]], k: int, confidence: float) -> Chart:
    """Test error with its interval by method, oldest first.

    Args:
        rows: of the leaderboard.
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
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=low, x2=high, y=y, color=_era(), tooltip=tooltip)
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=_era(), tooltip=tooltip)
    text = base.mark_text(align="left", dx=9, dy=-8, fontSize=12).encode(
        x=x, y=y, text=alt.Text(f"test_top{k}_error:Q", format=".1f")
    )
    listed = "; ".join(f"{row['title']} {tenths(row[f'test_top{k}_error'])} %" for row in data.to_dict("records"))
    chart = (intervals + points + text).properties(width=WIDTH - 220, height=alt.Step(34))
    return _finish(f"errors-top{k}", chart, f"Top-{k} test error with {confidence:.0%} intervals: {listed}.")


def cost(rows: list[dict[str, Any]]) -> Chart:
    """Error against training time."""
    columns = [
        "title",
        "era",
        "training_seconds",
        "prediction_ms",
        "test_top1_error",
        "test_top1_low",
        "test_top1_high",
    ]
    data = pd.DataFrame(rows)[columns]
    x = alt.X(
        "training_seconds:Q", scale=alt.Scale(type="log", padding=30), title="training, tuning included (s, log scale)"
    )
    base = alt.Chart(data)
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("training_seconds:Q", format=",.1f", title="training (s)"),
        alt.Tooltip("prediction_ms:Q", format=".3f", title="prediction (ms an image)"),
        alt.Tooltip("test_top1_error:Q", format=".2f", title="top-1 error (%)"),
    ]
    y = alt.Y("test_top1_error:Q", title="top-1 test error (%)", scale=alt.Scale(zero=True))
    low, high = alt.Y("test_top1_low:Q"), alt.Y2("test_top1_high:Q")
    rules = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, y=low, y2=high, color=_era(), tooltip=tooltip)
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=_era(), tooltip=tooltip)
    names = base.mark_text(align="left", dx=9, fontSize=12).encode(x=x, y=y, text="title:N")
    fastest = min(rows, key=lambda row: row["training_seconds"])
    best = min(rows, key=lambda row: row["test_top1_error"])
    text = (
        f"Top-1 test error against training time. Fastest to train: {fastest['title']}, "
        f"{fastest['training_seconds']:,.1f} s. Lowest error: {best['title']}, {tenths(best['test_top1_error'])} %."
    )
    return _finish("cost", (rules + points + names).properties(width=WIDTH - 120, height=320), text)


def learning_curves(rows: list[dict[str, Any]], titles: Mapping[str, str]) -> Chart | None:
    """Train and val error by epoch for each network; the best snapshot is marked. None without networks."""
    if not rows:
        return None
    data = pd.DataFrame(rows)
    data["network"] = [titles[key] for key in data["network"]]
    best = data[data["kept"]]
    data = data.drop(columns="kept")
    colour = alt.Color("network:N", title="network", scale=alt.Scale(range=LINE_COLOURS))
    dash = alt.StrokeDash("split:N", title="split", scale=alt.Scale(domain=["val", "train"], range=[[1, 0], [4, 3]]))
    x, y = alt.X("epoch:Q", title="epoch"), alt.Y("error:Q", title="top-1 error (%)", scale=alt.Scale(zero=True))
    tooltip = ["network:N", "split:N", "epoch:Q", alt.Tooltip("error:Q", format=".2f")]
    lines = (
        alt.Chart(data)
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=colour, strokeDash=dash, tooltip=tooltip, detail="split:N")
    )
    points = alt.Chart(best).mark_point(size=90, strokeWidth=2).encode(x=x, y=y, color=colour, tooltip=tooltip)
    listed = "; ".join(f"{row['network']}: best val error {tenths(row['error'])} % in epoch {row['epoch']}"
                       for row in best.to_dict("records"))  # fmt: skip
    chart = (lines + points).properties(width=WIDTH - 140, height=280)
    return _finish("learning", chart, f"Error by epoch on train (dashed) and val. {listed}.")


def confusion(key: str, title: str, counts: np.ndarray, classes: list[str]) -> Chart:
    """True class by guessed class, in percent of the true class."""
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        {"truth": classes[i], "guess": classes[j], "percent": round(float(share[i, j]), 2), "images": int(counts[i, j])}
        for i in range(len(classes))
        for j in range(len(classes))
    ]
    side = max(9, min(24, 360 // len(classes)))
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect()
        .encode(
            x=alt.X("guess:N", sort=classes, title="first guess", axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("truth:N", sort=classes, title="true class"),
            color=alt.Color(
                "percent:Q",
                title="% of class",
                scale=alt.Scale(scheme="greys" if len(classes) > 30 else "blues", domain=[0, 100]),
            ),
            tooltip=["truth:N", "guess:N", "images:Q", alt.Tooltip("percent:Q", format=".1f")],
        )
        .properties(width=alt.Step(side), height=alt.Step(side), title=title)
    )
    right = np.trace(counts) / max(counts.sum(), 1)
    text = f"Confusion of {title}: {right:.1%} of the first guesses lie on the diagonal."
    return _finish(f"confusion-{key}", chart, text)


def _era() -> alt.Color:
    scale = alt.Scale(domain=list(ERA_COLOURS), range=list(ERA_COLOURS.values()))
    return alt.Color("era:N", title="features", scale=scale)


def _finish(key: str, chart: Any, text: str) -> Chart:
    configured = (
        chart.configure(font="system-ui, sans-serif", background="transparent", autosize="pad")
        .configure_axis(labelFontSize=12, titleFontSize=12, labelLimit=260, gridOpacity=0.5)
        .configure_view(stroke=None)
        .configure_legend(orient="bottom", labelFontSize=12)
    )
    spec = configured.to_dict()
    # Ids are numbered through all that a process ever draws; named by chart they repeat, and don't clash in a page.
    svg = re.sub(r"\b(gradient|clip)_?\d+", rf"{key}-\1", vl_convert.vegalite_to_svg(spec))
    return Chart(key, json.dumps(spec, sort_keys=True).replace("<", "\\u003c"), svg, text)


def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, as vl-convert carries them: the page needs no network."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
