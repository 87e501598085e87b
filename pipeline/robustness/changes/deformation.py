"""Another shape: every place moves by a smooth random field (Simard, Steinkraus & Platt, ICDAR 2003)."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import Beside, Change

SMOOTH = 1 / 8  # of the side: the Gaussian's deviation by which the field is smoothed


def bend(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Places move by `share` of the side on average, root mean square."""
    height, width = image.shape[:2]
    field = random.standard_normal((2, height, width)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), SMOOTH * max(height, width)) for one in field])
    smooth *= share * max(height, width) / np.sqrt((smooth**2).sum(axis=0).mean())
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(image, x + smooth[0], y + smooth[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


CHANGES = [
    Change(
        "bent", "bent", "deformation", bend, (0.02, 0.04, 0.06, 0.08, 0.1),
        tuple(f"bent so that places move by {percent} % of the side" for percent in (2, 4, 6, 8, 10)),
    ),
]  # fmt: skip
