"""At which numbers of labelled images a curve is measured."""

from __future__ import annotations

import math

import numpy as np

from pipeline.errors import PipelineError
from pipeline.settings.curve import FEWEST, Curve

STEP = math.sqrt(10)  # from one size to the next, where nobody says otherwise
FULL = 0.9  # of all images: a size above it would hardly differ from all of them


def sizes_of(curve: Curve, images: int, classes: int, path: str = "params.yaml") -> list[int]:
    """The sizes, ascending.

    Args:
        images: how many labelled ones there are, train and val together.
        classes: how many.
        path: of the file with the settings, for sentences.

    Raises:
        PipelineError: a size is larger than the data set, or has fewer than two images of a class.
    """
    smallest = FEWEST * classes
    if isinstance(curve.sizes, list):
        _check(curve.sizes, images, classes, path)
        return curve.sizes
    if images <= smallest:
        return [images]
    if curve.sizes == "auto":
        steps = int(math.log(images / smallest) / math.log(STEP)) + 1
        found = [_rounded(smallest * STEP**step) for step in range(steps)]
        return [size for size in found if size < FULL * images] + [images]
    inner = [_rounded(size) for size in np.geomspace(smallest, images, curve.sizes)[1:-1]]
    return sorted({smallest, images, *(size for size in inner if smallest < size < images)})


def _check(sizes: list[int], images: int, classes: int, path: str) -> None:
    if sizes and sizes[-1] > images:
        raise PipelineError(
            f"{path}: `curve.sizes` has {sizes[-1]:,}, but the data set has {images:,} labelled images (train and val "
            f"together); take at most {images:,}"
        )
    if sizes and sizes[0] < FEWEST * classes:
        raise PipelineError(
            f"{path}: `curve.sizes` has {sizes[0]:,}, but {classes} classes need {FEWEST} images each, one to "
            f"learn from and one for val; take at least {FEWEST * classes:,}"
        )


def _rounded(size: float) -> int:
    """To two digits."""
    digits = 10 ** max(0, math.floor(math.log10(size)) - 1)
    return round(size / digits) * digits
