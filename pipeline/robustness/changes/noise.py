"""Noise of the sensor and of transmission (Hendrycks & Dietterich, ICLR 2019, appendix B)."""

from __future__ import annotations

import numpy as np

from pipeline.compiled import compiled
from pipeline.robustness.change import Beside, Change, to_bytes
from pipeline.robustness.draws import LEVELS, normal_steps, poisson_tables, sixteen_bits

Numbers = tuple[float, ...]


def gaussian(image: np.ndarray, deviation: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Normal noise of a deviation in shares of the full range."""
    drawn, steps = sixteen_bits(random, image.shape), normal_steps(255 * deviation)
    changed = np.empty_like(image)
    _add_steps(image.reshape(-1), drawn.reshape(-1), steps, changed.reshape(-1))
    return changed


def shot(image: np.ndarray, photons: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """So many photons where the image is white, counted: Poisson's noise."""
    limits, guides = poisson_tables(photons)
    seen = to_bytes(np.arange(limits.shape[1]) * (255 / photons))
    changed = np.empty_like(image)
    _count(image.reshape(-1), sixteen_bits(random, image.shape).reshape(-1), limits, guides, seen, changed.reshape(-1))
    return changed


def impulse(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """A share of the numbers is 0 or 255, whatever it was."""
    changed = np.empty_like(image)
    drawn, struck = sixteen_bits(random, image.shape), round(share * LEVELS)
    _strike(image.reshape(-1), drawn.reshape(-1), struck // 2, struck, changed.reshape(-1))
    return changed


@compiled()
def _add_steps(image: np.ndarray, drawn: np.ndarray, steps: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(image)):
        out[i] = min(max(np.int32(image[i]) + np.int32(steps[drawn[i]]), 0), 255)


@compiled()
def _count(
    image: np.ndarray, drawn: np.ndarray, limits: np.ndarray, guides: np.ndarray, seen: np.ndarray, out: np.ndarray
) -> None:
    for i in range(len(image)):
        level = image[i]
        count = guides[level, drawn[i] >> 8]
        while drawn[i] >= limits[level, count]:
            count += 1
        out[i] = seen[count]


@compiled()
def _strike(image: np.ndarray, drawn: np.ndarray, white: int, struck: int, out: np.ndarray) -> None:
    for i in range(len(image)):
        out[i] = 255 if drawn[i] < white else (0 if drawn[i] < struck else image[i])


def changes(small: bool) -> list[Change]:
    """With the parameters for small images (CIFAR-10-C) or for large ones (ImageNet-C)."""
    normal: Numbers = (0.04, 0.06, 0.08, 0.09, 0.1) if small else (0.08, 0.12, 0.18, 0.26, 0.38)
    photons: Numbers = (500, 250, 100, 75, 50) if small else (60, 25, 12, 5, 3)
    struck: Numbers = (0.01, 0.02, 0.03, 0.05, 0.07) if small else (0.03, 0.06, 0.09, 0.17, 0.27)
    return [
        Change("gaussian_noise", "Gaussian noise", "noise", gaussian, normal,
               tuple(f"with normal noise of {100 * one:g} % of the range" for one in normal), by_channel=True),
        Change("shot_noise", "shot noise", "noise", shot, photons,
               tuple(f"counted with {one:g} photons at white" for one in photons), by_channel=True),
        Change("impulse_noise", "impulse noise", "noise", impulse, struck,
               tuple(f"with {100 * one:g} % of the numbers black or white" for one in struck), by_channel=True),
    ]  # fmt: skip
