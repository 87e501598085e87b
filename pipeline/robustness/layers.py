"""Which pixels belong to the thing, and what is behind it: for data sets that know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.data.sources.objects.source import pictures
from pipeline.errors import PipelineError
from pipeline.robustness.change import Layers
from pipeline.settings import Objects, Settings


def layers_of(chosen: Settings, images: np.ndarray, names: Sequence[str]) -> list[Layers] | None:
    """Layers of some images; None: this data set doesn't know them, as photographs don't.

    Nothing is kept of them when images are packed: `objects` draws its pictures again.

    Args:
        images: uint8 (n, H, W, 3), as packed.
        names: n.

    Raises:
        PipelineError: a picture drawn again is not the packed one.
    """
    dataset = chosen.datasets[chosen.dataset]
    if not isinstance(dataset, Objects):
        return None
    found = pictures(dataset, chosen.seed, names)
    for packed, again, name in zip(images, found, names, strict=True):
        if not np.array_equal(packed, again.image):
            raise PipelineError(
                f"robustness: the picture {name} in data/ is not the one that `objects` draws now under this name; "
                "run `dvc repro -f prepare`, then `dvc repro`"
            )
    return [Layers(one.cover(), one.ground()) for one in found]
