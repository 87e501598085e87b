"""Images of none of the classes, on which it is measured how often a model notices that."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.data.scaling import scale_batch
from pipeline.data.sources.digits import digit_images
from pipeline.randomness import generator


@dataclass(frozen=True)
class Strangers:
    """Images of none of the classes.

    Attributes:
        name: what they are, for the report.
        images: uint8 (N, H, W, 3).
    """

    name: str
    images: np.ndarray


def strangers(shape: tuple[int, int], seed: int, count: int, dataset: str) -> list[Strangers]:
    """Noise, even grey, pieces of photographs, and handwritten digits, brought to the size (H, W) of a data set.

    Digits are left out where the data set is of digits itself. The photographs are those that scikit-image ships.
    """
    random = generator(seed, "strangers")
    noise = random.integers(0, 256, (count, *shape, 3), dtype=np.uint8)
    levels = np.linspace(0, 255, count).astype(np.uint8)
    grey = np.broadcast_to(levels[:, None, None, None], (count, *shape, 3)).copy()
    found = [
        Strangers("noise", noise),
        Strangers("even grey", grey),
        Strangers("pieces of photographs", _pieces(shape, count, random)),
    ]
    if dataset not in ("digits", "mnist"):
        found.append(Strangers("handwritten digits", _digits(shape, count)))
    return found


def _pieces(shape: tuple[int, int], count: int, random: np.random.Generator) -> np.ndarray:
    """Squares of 64 to 256 pixels from random places of three photographs: uint8 (N, H, W, 3)."""
    from skimage import data

    photographs = [data.astronaut(), data.coffee(), data.chelsea()]
    out = np.empty((count, *shape, 3), np.uint8)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(random.integers(64, 257))
        top, left = (int(random.integers(0, length - side + 1)) for length in photograph.shape[:2])
        piece = photograph[top : top + side, left : left + side]
        out[number] = cv2.resize(piece, shape[::-1], interpolation=cv2.INTER_AREA)
    return out


def _digits(shape: tuple[int, int], count: int) -> np.ndarray:
    """Those of scikit-learn, in the middle of a black picture where it isn't square: uint8 (N, H, W, 3)."""
    side = min(shape)
    chosen = digit_images()[0][:count]
    scaled = scale_batch(np.repeat(chosen[..., None], 3, axis=3), side)
    out = np.zeros((len(scaled), *shape, 3), np.uint8)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    out[:, top : top + side, left : left + side] = scaled
    return out
