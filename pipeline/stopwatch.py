"""Seconds of work, in which what is remembered counts with the seconds that it took when it was computed.

Costs are a result here: a curve whose test images are described once, and looked up afterwards, must not say that a
model is faster than it is.
"""

from __future__ import annotations

import time

_credited = 0.0


def seconds() -> float:
    """For differences, like time.perf_counter."""
    return time.perf_counter() + _credited


def credit(spared: float) -> None:
    """Count seconds that were spared now and spent before."""
    global _credited
    _credited += spared
