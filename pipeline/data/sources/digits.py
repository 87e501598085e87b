"""The digits inside scikit-learn: 1,797 real handwritten digits, 8×8, 17 grey levels."""

from __future__ import annotations

import numpy as np

from pipeline.data.sources.base import Source, part_of_array
from pipeline.settings import Digits


def open_digits(settings: Digits) -> Source:
    """Open the data set; it comes without splits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return Source(
        classes=[str(digit) for digit in range(10)],
        parts={"all": part_of_array(images, digits.target, "digits", settings.image_size)},
        description="1,797 handwritten digits of 8×8 pixels (Alpaydin & Kaynak 1998), as shipped by scikit-learn.",
    )
