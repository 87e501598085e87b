"""Other light: darker or brighter, another contrast curve, coloured, or with the edge of a shadow across it."""

from __future__ import annotations

import numpy as np

from pipeline.robustness.change import Beside, Change, to_bytes

SOFT = 0.05  # of the side: half the width of a shadow's edge


def gain(image: np.ndarray, factor: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """All levels times a factor or divided by it, so that bright parts saturate or all gets dark."""
    return to_bytes(image * (factor if random.random() < 0.5 else 1 / factor))


def gamma(image: np.ndarray, exponent: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Levels from 0 to 1 to the power of the exponent, or of its inverse."""
    power = exponent if random.random() < 0.5 else 1 / exponent
    return to_bytes(255 * (np.arange(256) / 255) ** power)[image]


def colour_cast(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Light of a random hue: the three channels are scaled by up to 1 ± share, and their mean stays."""
    angle = random.uniform(0, 2 * np.pi)
    tint = np.cos(angle + np.array([0, 2, 4]) * np.pi / 3)
    return to_bytes(image * (1 + share * tint))


def shadow(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """One side of a random line through the middle half loses a share of its light, with a soft edge."""
    height, width = image.shape[:2]
    angle, offset = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.25)
    y, x = np.mgrid[:height, :width]
    along = (x / (width - 1) - 0.5) * np.cos(angle) + (y / (height - 1) - 0.5) * np.sin(angle)
    dark = np.clip((along - offset) / (2 * SOFT) + 0.5, 0, 1)
    return to_bytes(image * (1 - share * dark)[..., None])


CHANGES = [
    Change(
        "gain", "darker or brighter", "lighting", gain, (1.25, 1.5, 2.0, 3.0, 4.0),
        tuple(f"darker or brighter by a factor of {factor}" for factor in (1.25, 1.5, 2, 3, 4)),
    ),
    Change(
        "gamma", "another gamma", "lighting", gamma, (1.25, 1.5, 2.0, 2.5, 3.0),
        tuple(f"with a gamma of {number} or its inverse" for number in (1.25, 1.5, 2, 2.5, 3)),
    ),
    Change(
        "colour_cast", "coloured light", "lighting", colour_cast, (0.1, 0.2, 0.3, 0.4, 0.5),
        tuple(f"in light whose channels differ by up to ±{percent} %" for percent in (10, 20, 30, 40, 50)), colour=True,
    ),
    Change(
        "shadow", "half in shadow", "lighting", shadow, (0.3, 0.45, 0.6, 0.75, 0.9),
        tuple(f"with a shadow that takes {percent} % of the light from one side" for percent in (30, 45, 60, 75, 90)),
    ),
]  # fmt: skip
