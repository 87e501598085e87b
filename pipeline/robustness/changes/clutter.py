"""Something before the object, or much around it."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import GREY, Beside, Change


def _window(image: np.ndarray, area: float, random: np.random.Generator) -> tuple[slice, slice]:
    """A part of the image's own shape at a random place."""
    height, width = (max(1, round(side * area**0.5)) for side in image.shape[:2])
    top, left = (
        int(random.random() * (whole - part + 1)) for whole, part in zip(image.shape, (height, width), strict=False)
    )
    return slice(top, top + height), slice(left, left + width)


def grey_patch(image: np.ndarray, area: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """A grey rectangle covers part of the image."""
    changed = image.copy()
    changed[_window(image, area, random)] = GREY
    return changed


def foreign_patch(image: np.ndarray, area: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The same part of another test image covers it."""
    changed, window = image.copy(), _window(image, area, random)
    changed[window] = beside.other[window]
    return changed


def surrounded(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The image, made smaller, stands at a random place of another test image."""
    window = _window(image, share**2, random)
    changed = beside.other.copy()
    rows, columns = (part.stop - part.start for part in window)
    changed[window] = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return changed


CHANGES = [
    Change(
        "grey_patch", "a grey patch before it", "clutter", grey_patch, (0.05, 0.1, 0.2, 0.35, 0.5),
        tuple(f"with {percent} % of the image covered by a grey patch" for percent in (5, 10, 20, 35, 50)),
    ),
    Change(
        "foreign_patch", "a piece of another image before it", "clutter", foreign_patch, (0.05, 0.1, 0.2, 0.35, 0.5),
        tuple(f"with {percent} % of the image covered by a piece of another one" for percent in (5, 10, 20, 35, 50)),
        company=True,
    ),
    Change(
        "surrounded", "another image around it", "clutter", surrounded, (0.9, 0.8, 0.7, 0.6, 0.5),
        tuple(f"at {percent} % of its size within another image" for percent in (90, 80, 70, 60, 50)),
        company=True,
    ),
]  # fmt: skip
