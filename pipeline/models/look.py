"""Let fitted models look at images: scores, and how strange each image is to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from pipeline import stopwatch
from pipeline.models.familiarity import Familiarity
from pipeline.models.fusion import Fusion, look_together
from pipeline.models.model import Advance, Look, Model, quiet
from pipeline.parallel import slices


class Complete(Protocol):
    """A model and what it needs to look: just fitted, or read back."""

    @property
    def model(self) -> Model:
        """Itself."""

    @property
    def familiarity(self) -> Familiarity:
        """What tells images of none of its classes."""

    @property
    def members(self) -> Mapping[str, Complete]:
        """Of a fusion, by their keys."""


def look_at(one: Complete, images: np.ndarray, advance: Advance = quiet) -> Look:
    """Look at images uint8 (N, H, W, 3), perhaps on disk, batch by batch.

    Args:
        advance: called with the number of images done; of a fusion once, at the end.
    """
    if isinstance(one.model, Fusion):
        found = look_at_all({"": one}, images)[""]
        advance(len(images))
        return found
    scores, strangeness, seconds = [], [], 0.0
    for part in slices(len(images), one.model.batch):
        batch = np.asarray(images[part])
        started = stopwatch.seconds()
        seen = one.model.see(batch)
        seconds += stopwatch.seconds() - started
        scores.append(seen.scores)
        strangeness.append(one.familiarity.strangeness(seen))
        advance(len(batch))
    return Look(np.concatenate(scores), np.concatenate(strangeness), seconds)


def look_at_all(models: Mapping[str, Complete], images: np.ndarray) -> dict[str, Look]:
    """What each model finds in the images; what a fusion joins is computed once.

    Args:
        models: of one data set, by their keys; a fusion's members need not be among them.
        images: uint8 (N, H, W, 3).
    """
    single: dict[str, Complete] = {}
    for key, one in models.items():
        single |= one.members if isinstance(one.model, Fusion) else {key: one}
    found = {key: look_at(one, images) for key, one in single.items()}
    for key, one in models.items():
        if isinstance(one.model, Fusion):
            found[key] = look_together(one.model, one.familiarity, found)
    return {key: found[key] for key in models}
