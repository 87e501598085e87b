"""What fitting any method returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.models.familiarity import Familiarity
from pipeline.models.model import Model


@dataclass(frozen=True)
class Fitted:
    """What fitting returns.

    Attributes:
        model: fitted.
        val_scores: of val, float32 (N, classes).
        familiarity: what tells images of none of the classes.
        val_strangeness: how strange each image of val is to it, float32 (N,).
        trials: what was tried on val, for tuning.json.
        training_seconds: from images to the model, tuning included.
        tuning_seconds: of these, what was spent on tries alone; None where tries are full fits.
        history: a network's, epoch by epoch (training.loop.Progress).
        members: of a fusion that was fitted with them, by their keys.
    """

    model: Model
    val_scores: np.ndarray
    familiarity: Familiarity
    val_strangeness: np.ndarray
    trials: list[dict[str, Any]]
    training_seconds: float
    tuning_seconds: float | None = None
    history: Any = None
    members: Mapping[str, Fitted] = field(default_factory=dict)
