"""What all charts share: two forms, Vega-Lite for readers with scripts and SVG for those without, and one look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

alt.data_transformers.disable_max_rows()  # all data stands in the page, and its size is measured

#: One colour per era throughout, told apart by colour-blind readers too (Okabe & Ito).
ERA_COLOURS = {"hand-crafted": "#c25400", "learned": "#0072b2", "pretrained": "#00805c"}

HEADROOM = 1.06  # above the highest interval


@dataclass(frozen=True)
class Chart:
    """A chart in its two forms.

    Attributes:
        key: identifies it in the page.
        spec: Vega-Lite as JSON text, safe inside a <script> element.
        svg: the same, drawn.
        alt: what a reader who can't see it should know.
        seen: the part of it that says what is to be seen here; may be empty.
    """

    key: str
    spec: str
    svg: str
    alt: str
    seen: str = ""


def era(there: Iterable[str] = ()) -> alt.Color:
    """Colour by era; `era` is a column of the data.

    Args:
        there: the eras of the data; the third stands in the legend only where it is among them.
    """
    listed = [name for name in ERA_COLOURS if name != "pretrained" or name in set(there)]
    scale = alt.Scale(domain=list(ERA_COLOURS), range=list(ERA_COLOURS.values()))
    names = "datum.label == 'pretrained' ? 'learned from other images' : datum.label"
    legend = alt.Legend(symbolOpacity=1, titleOrient="left", values=listed, labelExpr=names, labelLimit=260)
    return alt.Color("era:N", title="features", scale=scale, legend=legend)


def top_of(highs: pd.Series) -> float:
    """Where an axis of errors ends, by the upper ends of all intervals (%); never 0."""
    return max(HEADROOM * float(highs.max()), 1e-9)


def finish(key: str, chart: Any, text: str, seen: str = "") -> Chart:
    """Give a chart the common look and draw it.

    Colours of text and lines are left to the page's style sheet, which knows light from dark.
    """
    configured = (
        chart.configure(font="system-ui, sans-serif", background="transparent", autosize="pad")
        .configure_axis(labelFontSize=12, titleFontSize=12, labelLimit=260, gridOpacity=0.5)
        .configure_view(stroke=None)
        .configure_legend(orient="bottom", labelFontSize=12, titleFontSize=12)
        .configure_header(labelFontSize=12, titleFontSize=12)
    )
    spec = configured.to_dict()
    svg = _with_ids_of(key, _lighter(vl_convert.vegalite_to_svg(spec)))
    return Chart(key, json.dumps(spec, sort_keys=True).replace("<", "\\u003c"), svg, f"{text} {seen}".strip(), seen)


def _lighter(svg: str) -> str:
    """Half the bytes: marks need no description of their own, since the drawing has one, nor millionths of a pixel."""
    svg = re.sub(r'\s(?:aria-[a-z]+|role)="[^"]*"', "", svg)
    head, *tags = re.split(r"(?=<)", svg)
    return head + "".join(re.sub(r"(\d\.\d\d)\d+", r"\1", tag) if not tag.startswith("<text") else tag for tag in tags)


def _with_ids_of(key: str, svg: str) -> str:
    """Number the ids in a drawing anew: Vega counts through all that a process draws, and in a page they'd clash."""
    numbers: dict[str, int] = {}

    def renamed(match: re.Match[str]) -> str:
        return f"{match[1]}{key}-{numbers.setdefault(match[2], len(numbers))}{match[3]}"

    return re.sub(r"""(\bid="|url\(#|href="#)([A-Za-z]+_?\d+)("|\))""", renamed, svg)


@lru_cache(maxsize=1)
def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, as vl-convert carries them: the page needs no network."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
