"""What probabilities are worth: how often guesses are right, and the error if only sure ones are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from pipeline.evaluation.confidence import AT_LEAST, SURE
from pipeline.report.charts.base import ERA_COLOURS, Chart, finish, top_of
from pipeline.report.words import tenths

WIDTH, HEIGHT = 390, 300
SHARES = alt.Scale(domain=[0, 100], nice=False)


@dataclass(frozen=True)
class Line:
    """A method that is drawn.

    Attributes:
        key: of the method.
        title: its name for a reader.
        era: decides its colour.
        calibration: its mapping in metrics.json.
    """

    key: str
    title: str
    era: str
    calibration: dict[str, Any]


def reliability(bins: list[dict[str, str]], lines: list[Line], level: float) -> Chart:
    """Share of right guesses against their probability, bin by bin; on the diagonal probabilities hold.

    Args:
        bins: of tables/reliability.csv, of any methods.
        lines: the one or two methods to be drawn.
        level: of the intervals.
    """
    columns = ["confidence", "accuracy", "low", "high", "images"]
    data = _of(lines, [row for row in bins if int(row["images"])], columns)
    x = alt.X("confidence:Q", title="probability of the guess (%), mean of a bin", scale=SHARES)
    y = alt.Y("accuracy:Q", title="right guesses on test (%)", scale=SHARES)
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("images:Q"),
        alt.Tooltip("confidence:Q", format=".1f", title="probability (%)"),
        *(
            alt.Tooltip(f"{name}:Q", format=".1f", title=text)
            for name, text in (("accuracy", "right (%)"), ("low", "from"), ("high", "to"))
        ),
    ]
    colour, dash = _method(lines)
    base = alt.Chart(data)
    low, high = alt.Y("low:Q"), alt.Y2("high:Q")
    intervals = base.mark_rule(strokeWidth=3, opacity=0.35).encode(x=x, y=low, y2=high, color=colour, tooltip=tooltip)
    joined = base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colour, strokeDash=dash)
    points = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    ends = pd.DataFrame([{"confidence": end, "accuracy": end} for end in (0, 100)])
    diagonal = alt.Chart(ends).mark_line(color="#888888", strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y)
    chart = alt.layer(diagonal, intervals, joined, points).properties(width=WIDTH, height=HEIGHT)
    listed = "; ".join(f"{line.title} {tenths(line.calibration['ece_after'])} points" for line in lines)
    text = f"Share of right guesses by their probability, with {100 * level:.0f} % intervals."
    return finish("reliability", chart, text, f"Expected calibration error: {listed}.")


def risk_coverage(curves: list[dict[str, str]], lines: list[Line]) -> Chart:
    """Error among the surest images against their share; a circle where the probability falls below SURE.

    Args:
        curves: of plots/risk_coverage.csv, of any methods.
        lines: the one or two methods to be drawn.
    """
    data = _of(lines, curves, ["threshold", "answered", "error"])
    top = top_of(data["error"])
    x = alt.X("answered:Q", title="images answered (%), surest first", scale=SHARES)
    y = alt.Y("error:Q", title="wrong among them (%)", scale=alt.Scale(domain=[0, top], nice=False))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("answered:Q", format=".1f", title="answered (%)"),
        alt.Tooltip("error:Q", format=".2f", title="wrong (%)"),
        alt.Tooltip("threshold:Q", format=".1f", title="probability from (%)"),
    ]
    colour, dash = _method(lines)
    drawn = alt.Chart(data).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash, tooltip=tooltip)
    marks = _sure(lines)
    circles = (
        alt.Chart(marks).mark_point(size=90, strokeWidth=2, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    layers = (drawn, circles) if len(marks) else (drawn,)
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    listed = "; ".join(f"{line.title} {tenths(line.calibration['aurc'])} %" for line in lines)
    text = "Error among the surest images by the share of images answered."
    return finish("risk-coverage", chart, text, f"Mean over all shares answered (AURC): {listed}.")


def _sure(lines: list[Line]) -> pd.DataFrame:
    """Where each method stands if it answers with a probability of at least SURE; one that never does is left out."""
    sure = {line.title: line.calibration[AT_LEAST] for line in lines}
    rows = [
        {"title": title, "threshold": 100 * SURE, "answered": values["answered"], "error": values["error"]}
        for title, values in sure.items()
        if values["error"] is not None
    ]
    return pd.DataFrame(rows)


def _of(lines: list[Line], rows: list[dict[str, str]], columns: list[str]) -> pd.DataFrame:
    """The rows of the methods that are drawn, numbers as numbers."""
    titles = {line.key: line.title for line in lines}
    return pd.DataFrame(
        [
            {"title": titles[row["method"]], **{name: float(row[name]) for name in columns}}
            for row in rows
            if row["method"] in titles
        ]
    )


def _method(lines: list[Line]) -> tuple[alt.Color, alt.StrokeDash]:
    """Colour by era; of two methods of one era the first is dashed."""
    titles = [line.title for line in lines]
    alike = len({line.era for line in lines}) < len(lines)
    dashes = [[4, 3] if alike and line is not lines[-1] else [1, 0] for line in lines]
    legend = alt.Legend(symbolType="stroke", symbolOpacity=1, labelLimit=260)
    colours = alt.Scale(domain=titles, range=[ERA_COLOURS[line.era] for line in lines])
    return (
        alt.Color("title:N", title=None, scale=colours, legend=legend),
        alt.StrokeDash("title:N", title=None, scale=alt.Scale(domain=titles, range=dashes), legend=legend),
    )
