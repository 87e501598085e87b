"""The digits inside scikit-learn: 1,797 real handwritten digits, 8×8, 17 grey levels."""

from __future__ import annotations

import numpy as np

from pipeline.data.sources.base import Source, part_of_array
from pipeline.settings import Digits


def open_digits(settings: Digits) -> Source:
    """Open the data set; it comes without splits."""
    images, labels = digit_images()
    return Source(
        classes=[str(digit) for digit in range(10)],
        parts={"all": part_of_array(images, labels, "digits", settings.image_size)},
        description="1,797 handwritten digits of 8×8 pixels (Alpaydin & Kaynak 1998), as shipped by scikit-learn.",
    )


def digit_images() -> tuple[np.ndarray, np.ndarray]:
    """The images, uint8 (1797, 8, 8), and their labels, int (1797,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target
