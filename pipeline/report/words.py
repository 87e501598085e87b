"""Numbers as a reader wants them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


def era_name(era: str) -> str:
    """How an era's features came about, for a cell of a table."""
    return {"hand-crafted": "by hand", "learned": "learned", "pretrained": "learned from other images"}[era]


def tenths(value: float) -> str:
    """One decimal, rounded as the charts' JavaScript does it: the exact binary value, ties upwards."""
    return str(Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP))


def seconds(value: float) -> str:
    """A duration for a reader."""
    if value < 120:
        return f"{value:.3g} s" if value < 10 else f"{value:.0f} s"
    if value < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def number(value: Any) -> str:
    """A count for a reader: 1,234 or 5.9 M; a dash for None."""
    if value is None:
        return "–"
    if value < 999_500:
        return f"{value:,}"
    unit, size = ("M", value / 1e6) if value < 999.5e6 else ("G", value / 1e9)
    return f"{_three_digits(size)} {unit}"


def milliseconds(value: float) -> str:
    """A time an image takes, given in milliseconds: two digits, in seconds from a second on."""
    if value >= 1000:
        return f"{_three_digits(value / 1000)} s"
    return f"{value:.0f} ms" if value >= 99.5 else f"{value:.2g} ms"


def megabytes(value: float) -> str:
    """A size, given in megabytes: 3.2 MB or 1.2 GB."""
    return f"{_three_digits(value)} MB" if value < 999.5 else f"{_three_digits(value / 1000)} GB"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def cell(value: Any) -> str:
    """An error in percent; a dash for None."""
    return "–" if value is None else tenths(value)


def p_value(p: float) -> str:
    """With its relation: "= 0.012" or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def setting(value: Any, number: Callable[[float], str] = "{:g}".format, text: Callable[[str], str] = str) -> str:
    """A value of params.yaml as it is written there.

    Args:
        value: of any kind that YAML has.
        number: how fractions are written.
        text: how texts are written.
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(setting(one, number, text) for one in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {setting(one, number, text)}" for name, one in value.items()) + "}"
    if isinstance(value, float):
        return number(value)
    return text(value) if isinstance(value, str) else str(value)
