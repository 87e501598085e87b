"""Error against severity, a small picture for each change."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from pipeline.report.charts.base import Chart, era, finish

COLUMNS, WIDTH, HEIGHT = 4, 165, 110


def robustness(rows: list[dict[str, Any]], level: float) -> Chart | None:
    """Lines in their eras' colours; bars are intervals.

    Args:
        rows: change (its title), severity, era, title, top1_error, top1_low, top1_high; severity 0 is without a change.
        level: of the intervals.

    Returns:
        None without rows.
    """
    if not rows:
        return None
    data = pd.DataFrame(rows)
    x = alt.X("severity:Q", title="severity", axis=alt.Axis(tickMinStep=1, tickCount=5))
    y = alt.Y("top1_error:Q", title="error (%)", scale=alt.Scale(domain=[0, 100]))
    tooltip = [
        alt.Tooltip("title:N"),
        alt.Tooltip("change:N"),
        alt.Tooltip("severity:Q"),
        *(
            alt.Tooltip(f"{name}:Q", format=".1f", title=text)
            for name, text in (("top1_error", "error (%)"), ("top1_low", "from"), ("top1_high", "to"))
        ),
    ]
    colour = era(data["era"])
    base = alt.Chart()
    titles = list(dict.fromkeys(data["title"]))
    alike = data["era"].nunique() < len(titles)  # of two methods of one era the first is dashed
    patterns = [[4, 3] if alike and title != titles[-1] else [1, 0] for title in titles]
    dash = alt.StrokeDash("title:N", scale=alt.Scale(domain=titles, range=patterns), legend=None)
    lines = base.mark_line(strokeWidth=2)
    lines = lines.encode(x=x, y=y, color=colour, strokeDash=dash, detail="title:N", tooltip=tooltip)
    intervals = base.mark_rule(strokeWidth=2, opacity=0.35)
    intervals = intervals.encode(x=x, y=alt.Y("top1_low:Q"), y2=alt.Y2("top1_high:Q"), color=colour, tooltip=tooltip)
    order = list(dict.fromkeys(data["change"]))
    facet = alt.Facet("change:N", title=None, sort=order)
    chart = (intervals + lines).properties(width=WIDTH, height=HEIGHT)
    chart = chart.facet(facet=facet, columns=min(COLUMNS, len(order)), data=data)
    text = f"Error against severity, a picture for each change, with {100 * level:.0f} % intervals."
    return finish("robustness", chart, text)
