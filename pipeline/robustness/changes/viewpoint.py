"""Another viewpoint: the image turned in its plane, nearer or farther, or seen from the side."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import Beside, Change


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """By a matrix 3×3 from old places to new ones; what comes in from outside mirrors the image at its edge."""
    height, width = image.shape[:2]
    return cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _about_centre(image: np.ndarray, degrees: float, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    part = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)
    return _warp(image, np.vstack([part, [0, 0, 1]]))


def rotate(image: np.ndarray, degrees: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """To one side or the other."""
    return _about_centre(image, degrees * random.choice([-1, 1]), 1.0)


def zoom(image: np.ndarray, factor: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Nearer by a factor, or farther."""
    return _about_centre(image, 0.0, factor if random.random() < 0.5 else 1 / factor)


def perspective(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Each corner moves by up to a share of the side, inwards or outwards."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    moved = corners + random.uniform(-1, 1, (4, 2)) * share * [width, height]
    return _warp(image, cv2.getPerspectiveTransform(corners, moved.astype(np.float32)))


CHANGES = [
    Change(
        "rotation", "turned", "viewpoint", rotate, (10, 20, 30, 60, 90),
        ("turned by 10°", "turned by 20°", "turned by 30°", "turned by 60°", "turned by 90°"),
    ),
    Change(
        "scale", "nearer or farther", "viewpoint", zoom, (1.1, 1.25, 1.5, 1.75, 2.0),
        tuple(f"nearer or farther by a factor of {factor}" for factor in (1.1, 1.25, 1.5, 1.75, 2)),
    ),
    Change(
        "perspective", "seen from the side", "viewpoint", perspective, (0.05, 0.1, 0.15, 0.2, 0.25),
        tuple(f"with corners moved by up to {percent} % of the side" for percent in (5, 10, 15, 20, 25)),
    ),
]  # fmt: skip
