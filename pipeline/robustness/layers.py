"""Which pixels belong to the thing, and what is behind it: for data sets that know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.data.sources.objects.source import pictures
from pipeline.robustness.change import Layers
from pipeline.settings import Objects, Settings


def layers_of(chosen: Settings, images: np.ndarray, names: Sequence[str]) -> list[Layers] | str:
    """Layers of some images, or why they aren't known.

    Nothing is kept of them when images are packed: `objects` draws its pictures again, each with its layers. Another
    version of OpenCV may draw other ones; then it is not known what belongs to the packed ones.

    Args:
        images: uint8 (n, H, W, 3), as packed.
        names: n.
    """
    dataset = chosen.datasets[chosen.dataset]
    if not isinstance(dataset, Objects):
        return "these images don't tell"
    found = []
    for packed, again, name in zip(images, pictures(dataset, chosen.seed, names), names, strict=True):
        if not np.array_equal(packed, again.image):
            return f"the picture {name} in data/ is not the one that `objects` draws now under this name"
        found.append(Layers(again.cover(), again.ground()))
    return found
