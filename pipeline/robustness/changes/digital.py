"""Contrast, elastic bending, JPEG and large pixels (Hendrycks & Dietterich, ICLR 2019, appendix B)."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from pipeline.robustness.change import Beside, Change, by_severity, to_bytes

Numbers = tuple[float, ...]


def contrast(image: np.ndarray, factor: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Each channel comes nearer to its mean."""
    mean = np.array(cv2.mean(image)[: image.shape[2]])
    table = to_bytes((np.arange(256)[:, None] - mean) * factor + mean)  # a channel's 256 levels all go the same way
    return cv2.LUT(image, table.reshape(1, 256, -1))


def elastic(
    image: np.ndarray, level: tuple[float, float, float], random: np.random.Generator, beside: Beside
) -> np.ndarray:
    """An affine change of three corners, then places that move by a smooth field.

    The level: strength, smoothness and how far corners move, as shares of the shorter side.
    """
    height, width = image.shape[:2]
    strength, smoothness, corners = (min(height, width) * share for share in level)
    middle, reach = np.array([width, height]) // 2, min(height, width) // 3
    fixed = (middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])).astype(np.float32)
    moved = (fixed + random.uniform(-corners, corners, fixed.shape)).astype(np.float32)
    matrix = cv2.getAffineTransform(fixed, moved)
    turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    drawn = random.uniform(-1, 1, (2, height, width)).astype(np.float32)
    side = 2 * int(3 * smoothness + 0.5) + 1
    field = [strength * cv2.GaussianBlur(one, (side, side), smoothness) if smoothness else 0 * one for one in drawn]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(turned, x + field[0], y + field[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def jpeg(image: np.ndarray, quality: int, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Stored as JPEG of a low quality."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def pixelate(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Made smaller to a share of its sides, and as large again, without smoothing."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def changes(small: bool) -> list[Change]:
    """With the parameters for small images (CIFAR-10-C) or for large ones (ImageNet-C)."""
    bends = (
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
        if small
        else ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
    )
    own = 1 if small else 244 / 224  # the original's shares are of 244 pixels, on images of 224
    scaled = tuple(tuple(own * one for one in level) for level in bends)
    factors: Numbers = (0.75, 0.5, 0.4, 0.3, 0.15) if small else (0.4, 0.3, 0.2, 0.1, 0.05)
    qualities = (80, 65, 58, 50, 40) if small else (25, 18, 15, 10, 7)
    sides: Numbers = (0.95, 0.9, 0.85, 0.75, 0.65) if small else (0.6, 0.5, 0.4, 0.3, 0.25)
    return [
        Change("contrast", "of low contrast", "digital", contrast, factors,
               tuple(f"with {100 * one:g} % of the contrast" for one in factors), draws=False),
        Change("elastic", "elastically bent", "digital", elastic, scaled, by_severity("elastically bent")),
        Change("jpeg", "JPEG of low quality", "digital", jpeg, qualities,
               tuple(f"stored as JPEG of quality {one}" for one in qualities), draws=False),
        Change("pixelate", "pixelated", "digital", pixelate, sides,
               tuple(f"made smaller to {100 * one:g} % and larger again" for one in sides), draws=False),
    ]  # fmt: skip
