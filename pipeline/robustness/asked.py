"""A change that somebody asks for by its name, for photographs that models are about to look at."""

from __future__ import annotations

import numpy as np

from pipeline.data.intake import Intake
from pipeline.errors import PipelineError
from pipeline.prediction.scoring import Changing
from pipeline.robustness.change import GROUPS, Beside
from pipeline.robustness.changes import changes
from pipeline.robustness.measuring import fitting
from pipeline.settings.sentences import check_names


def asked(key: str, severity: int | None, image: Intake, seed: int) -> Changing:
    """What changes photographs so.

    Args:
        key: of the change; one that needs another image can't be asked for.
        severity: from 1 on; None: its middle one.
        image: how models take photographs.
        seed: of the models.

    Raises:
        PipelineError: there is no such change for these images, or it has no such severity.
    """
    side = min(image.height, image.width)
    found, left_out = fitting(changes(side), list(GROUPS), side, image.grey, company=False)
    if key in left_out:
        raise PipelineError(f"predict: `--change {key}` {left_out[key]}; ask for another change")
    alone = {one.key: one for one in found}
    check_names([key], list(alone), "predict", "--change", "a change of a photograph")
    change = alone[key]
    strength = (len(change.levels) + 1) // 2 if severity is None else severity
    if not 1 <= strength <= len(change.levels):
        raise PipelineError(
            f"predict: `--severity` is {severity}, and {key} has severities from 1 to {len(change.levels)}; ask for "
            "one of these"
        )

    def changed(photograph: np.ndarray, name: str) -> np.ndarray:
        return change.on(photograph, strength, seed, name, Beside(photograph), image.grey)

    return changed
