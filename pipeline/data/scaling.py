"""ILSVRC's way of making images one size: shorter side to the size, then the square in the centre."""

from __future__ import annotations

import cv2
import numpy as np


def centre_square(width: int, height: int) -> tuple[float, float, float, float]:
    """The largest centred square of an image: left, upper, right, lower in pixels."""
    side = min(width, height)
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side


def centre_box(width: int, height: int, ratio: float) -> tuple[float, float, float, float]:
    """The largest centred part of an image with this ratio of width to height: left, upper, right, lower."""
    if ratio == 1:
        return centre_square(width, height)
    inner_width, inner_height = min(width, height * ratio), min(height, width / ratio)
    left, upper = (width - inner_width) / 2, (height - inner_height) / 2
    return left, upper, left + inner_width, upper + inner_height


def scale_batch(images: np.ndarray, size: int | None) -> np.ndarray:
    """Scale images of one shape, uint8 (N, H, W, 3), to (N, size, size, 3); None keeps them.

    Shrinking averages over areas, enlarging interpolates bicubically.
    """
    count, height, width, _ = images.shape
    if size is None or (height, width) == (size, size):
        return images
    left, upper, right, lower = (int(edge) for edge in centre_square(width, height))
    method = cv2.INTER_AREA if right - left > size else cv2.INTER_CUBIC
    scaled = np.empty((count, size, size, 3), np.uint8)
    for index in range(count):
        square = images[index, upper:lower, left:right]
        scaled[index] = cv2.resize(square, (size, size), interpolation=method)
    return scaled
