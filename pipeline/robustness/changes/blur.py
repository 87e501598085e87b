"""Blur of the lens, of frosted glass, of motion and of a zoom (Hendrycks & Dietterich, ICLR 2019, appendix B)."""

from __future__ import annotations

import math

import cv2
import numpy as np

from pipeline.compiled import compiled
from pipeline.robustness.change import Beside, Change, by_severity, to_bytes

Pair = tuple[float, float]


def disk(radius: float, alias: float) -> np.ndarray:
    """A disk of sum 1, its edge softened by a Gaussian of deviation `alias`."""
    reach = np.arange(-8, 9) if radius <= 8 else np.arange(-radius, radius + 1)
    x, y = np.meshgrid(reach, reach)
    inside = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel = (3, 3) if radius <= 8 else (5, 5)
    return cv2.GaussianBlur(inside / inside.sum(), kernel, sigmaX=alias)


def defocus(image: np.ndarray, level: Pair, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Each point becomes a disk: radius and softness."""
    return to_bytes(cv2.filter2D(image.astype(np.float32), -1, disk(*level)))


def glass(image: np.ndarray, level: tuple[float, int, int], random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Smoothed, then pixels take the colours of near ones, then smoothed again: deviation, reach, rounds."""
    deviation, reach, rounds = level
    height, width = image.shape[:2]
    moves = random.integers(-reach, reach, (rounds, height, width, 2))
    scattered = np.floor(_smooth(image, deviation)).astype(np.uint8)
    _take_from_near(scattered, moves, reach)
    return to_bytes(_smooth(scattered, deviation))


def _smooth(image: np.ndarray, deviation: float) -> np.ndarray:
    """As scikit-image's `gaussian` does: cut off behind four deviations, edges continued."""
    side = 2 * int(4 * deviation + 0.5) + 1
    blurred = cv2.GaussianBlur(image.astype(np.float32), (side, side), deviation, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred)


@compiled()
def _take_from_near(image: np.ndarray, moves: np.ndarray, reach: int) -> None:
    """From the last pixel to the first, as the original computes it: what it calls an exchange is a copy."""
    height, width, channels = image.shape
    for number in range(len(moves)):
        for y in range(height - reach, reach, -1):
            for x in range(width - reach, reach, -1):
                from_y, from_x = y + moves[number, y, x, 0], x + moves[number, y, x, 1]
                for channel in range(channels):
                    image[y, x, channel] = image[from_y, from_x, channel]


def motion(image: np.ndarray, level: Pair, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Along a line between -45° and 45°: reach and deviation."""
    return to_bytes(along_a_line(image.astype(np.float32), *level, random.uniform(-45, 45)))


def along_a_line(image: np.ndarray, reach: float, deviation: float, degrees: float) -> np.ndarray:
    """Each point is drawn out to one side, with weights that fall like half a Gaussian."""
    angle, steps = np.deg2rad(degrees), np.arange(2 * int(reach) + 1)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    x, y = np.rint(steps * np.cos(angle)).astype(int), np.rint(steps * np.sin(angle)).astype(int)
    side = int(max(np.abs(x).max(), np.abs(y).max()))
    kernel = np.zeros((2 * side + 1, 2 * side + 1), np.float32)
    np.add.at(kernel, (side + y, side + x), weights / weights.sum())
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def zoom(image: np.ndarray, factors: np.ndarray, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The mean of the image and of itself drawn nearer and nearer."""
    total = image.astype(np.float32)
    for factor in factors:
        total += drawn_nearer(image.astype(np.float32), float(factor))
    return to_bytes(total / (len(factors) + 1))


def drawn_nearer(image: np.ndarray, factor: float) -> np.ndarray:
    """Its middle, larger by a factor, on the original's grid: the ends of both parts fall on one another."""
    steps = [_nearer(side, factor) for side in image.shape[:2]]
    (down, top), (across, left) = steps
    matrix = np.array([[across, 0, left], [0, down, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _nearer(side: int, factor: float) -> tuple[float, float]:
    """Of an axis: how far apart two new pixels lie in the old image, and where the first one lies."""
    part = math.ceil(side / factor)
    enlarged = round(part * factor)
    step = (part - 1) / max(enlarged - 1, 1)
    return step, (side - part) // 2 + (enlarged - side) // 2 * step


def changes(small: bool) -> list[Change]:
    """With the parameters for small images (CIFAR-10-C) or for large ones (ImageNet-C)."""
    disks = (
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
        if small
        else ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
    )
    panes = (
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
        if small
        else ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    )
    lines = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)) if small else ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
    ends = (1.06, 1.11, 1.16, 1.21, 1.26) if small else (1.11, 1.16, 1.21, 1.26, 1.31)
    steps = (0.01,) * 5 if small else (0.01, 0.01, 0.02, 0.02, 0.03)
    zooms = tuple(np.arange(1, end, step) for end, step in zip(ends, steps, strict=True))
    return [
        Change("defocus_blur", "out of focus", "blur", defocus, disks, by_severity("out of focus"), draws=False),
        Change("glass_blur", "behind frosted glass", "blur", glass, panes, by_severity("behind frosted glass")),
        Change("motion_blur", "blurred by motion", "blur", motion, lines, by_severity("blurred by motion")),
        Change("zoom_blur", "blurred by a zoom", "blur", zoom, zooms, by_severity("blurred by a zoom"), draws=False),
    ]
