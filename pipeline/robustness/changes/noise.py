"""Noise of the sensor and of transmission (Hendrycks & Dietterich, ICLR 2019, appendix B)."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import Beside, Change, to_bytes

Numbers = tuple[float, ...]


def gaussian(image: np.ndarray, deviation: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Normal noise of a deviation in shares of the full range."""
    drawn = random.standard_normal(image.shape, np.float32)
    drawn *= 255 * deviation
    return np.asarray(cv2.add(image, drawn, dtype=cv2.CV_8U)).reshape(image.shape)


def shot(image: np.ndarray, photons: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """So many photons where the image is white, counted: Poisson's noise."""
    expected = (np.arange(256) / 255 * photons)[image]
    return to_bytes(random.poisson(expected) * (255 / photons))


def impulse(image: np.ndarray, share: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """A share of the numbers is 0 or 255, whatever it was."""
    drawn = random.random(image.shape, np.float32)
    changed = image.copy()
    changed[drawn < share] = 0
    changed[drawn < share / 2] = 255
    return changed


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
