"""How the learning rate changes over a training: a factor of the peak for each step."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.settings import Training

Schedule = Callable[[float], float]


def schedule(settings: Training, steps: int) -> Callable[[int], float]:
    """The factor at each of `steps` steps; it rises over the first `warm_up` of them in a straight line."""
    falls: dict[str, Schedule] = {
        "one_cycle": lambda left: left,
        "cosine": lambda left: 0.5 - 0.5 * math.cos(math.pi * left),
        "step": lambda left: 1.0,
    }
    fall = falls[settings.schedule]
    drops = sorted(settings.drops) if settings.schedule == "step" else []
    rise = round(settings.warm_up * steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        tenths = sum(step >= drop * steps for drop in drops)
        return float(fall((steps - step) / max(1, steps - rise)) * 0.1**tenths)

    return factor
