"""Images that show nothing: nearly black, or nearly all of one colour. Often a sign that a format was misread."""

from __future__ import annotations

import numpy as np

SAMPLES = 64  # rows and columns that are looked at
EVEN = 4.0  # levels of 255: the standard deviation of every channel is below it
DARK, SHARE = 24, 0.998  # levels, and the share of the pixels that are darker


def blank(images: np.ndarray) -> np.ndarray:
    """Which of the images show nothing: uint8 (N, H, W, 3) → bool (N,)."""
    if not len(images):
        return np.zeros(0, bool)
    step = max(1, min(images.shape[1:3]) // SAMPLES)
    pixels = images[:, ::step, ::step].reshape(len(images), -1, 3)
    even = (pixels.std(axis=1, dtype=np.float32) < EVEN).all(axis=1)
    dark = (pixels.max(axis=2) < DARK).mean(axis=1) >= SHARE
    found: np.ndarray = even | dark
    return found
