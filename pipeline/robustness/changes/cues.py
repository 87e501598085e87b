"""One cue taken away, or left alone, to see which one a method lives on (after Geirhos et al., ICLR 2019)."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import GREY, Beside, Change, to_bytes


def grey(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Luminance alone."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def edges(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Strength of the luminance's gradient, dark on white."""
    luminance = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, y = cv2.Sobel(luminance, cv2.CV_32F, 1, 0), cv2.Sobel(luminance, cv2.CV_32F, 0, 1)
    strength = np.hypot(x, y)
    return np.repeat(to_bytes(255 - 255 * strength / max(float(strength.max()), 1.0))[..., None], 3, axis=2)


def shuffled(image: np.ndarray, parts: int, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Cut into parts × parts tiles that change places; what doesn't divide stays at the right and the bottom."""
    height, width = (side // parts for side in image.shape[:2])
    changed = image.copy()
    whole = image[: parts * height, : parts * width].reshape(parts, height, parts, width, 3)
    tiles = whole.transpose(0, 2, 1, 3, 4).reshape(parts * parts, height, width, 3)
    order = random.permutation(len(tiles))
    while (order == np.arange(len(tiles))).any():  # each tile moves
        order = random.permutation(len(tiles))
    tiles = tiles[order].reshape(parts, parts, height, width, 3)
    changed[: parts * height, : parts * width] = tiles.transpose(0, 2, 1, 3, 4).reshape(parts * height, -1, 3)
    return changed


def _blurred(image: np.ndarray, share: float) -> np.ndarray:
    deviation = share * max(image.shape[:2])
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), deviation, borderType=cv2.BORDER_REFLECT_101))


def coarse(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Without what is finer than a share of the side."""
    return to_bytes(_blurred(image, share))


def fine(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Without what is coarser than a share of the side; grey stands for nothing."""
    return to_bytes(image - _blurred(image, share) + GREY)


def colours_of_another(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Mean and spread of each channel (Lab) are those of an image of another class (Reinhard et al., CG&A 2001)."""
    own, its = (cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for one in (image, beside.other))
    mean, spread = own.mean(axis=(0, 1)), own.std(axis=(0, 1))
    changed = (own - mean) * its.std(axis=(0, 1)) / np.maximum(spread, 1.0) + its.mean(axis=(0, 1))
    changed[..., 0] = own[..., 0]  # light and dark stay, the colours go
    return to_bytes(255 * np.clip(cv2.cvtColor(changed.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1))


WIDTHS = (0.02, 0.04, 0.06, 0.09, 0.13)
CHANGES = [
    Change("grey", "without colour", "cue", grey, (None,), ("without colour",), colour=True, draws=False),
    Change("other_colours", "with another image's colours", "cue", colours_of_another, (None,),
           ("with the colours of another image",), colour=True, draws=False, company=True),
    Change("edges", "edges alone", "cue", edges, (None,), ("with its edges alone",), draws=False),
    Change("shuffled", "tiles shuffled", "cue", shuffled, (2, 4, 8),
           tuple(f"cut into {parts}×{parts} tiles that change places" for parts in (2, 4, 8)), smallest=16),
    Change("coarse", "coarse structure alone", "cue", coarse, WIDTHS,
           tuple(f"without what is finer than {100 * width:g} % of the side" for width in WIDTHS), draws=False),
    Change("fine", "fine structure alone", "cue", fine, WIDTHS[::-1],
           tuple(f"without what is coarser than {100 * width:g} % of the side" for width in WIDTHS[::-1]), draws=False),
]  # fmt: skip
