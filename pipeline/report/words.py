"""Numbers as a reader wants them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any


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
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:,}"


def cell(value: Any) -> str:
    """An error in percent; a dash for None."""
    return "–" if value is None else tenths(value)


def p_value(p: float) -> str:
    """With its relation: "= 0.012" or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def setting(value: Any) -> str:
    """A value of params.yaml as it is written there."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(setting(one) for one in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {setting(one)}" for name, one in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
