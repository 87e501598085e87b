"""Snow, frost, fog and glaring light (Hendrycks & Dietterich, ICLR 2019, appendix B).

Frost is drawn here, since the photographs that the original lays over images are not ours to give away; its shares are
the original's, so its figures stand beside others' only roughly.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.compiled import compiled
from pipeline.robustness.change import Beside, Change, by_severity, to_bytes
from pipeline.robustness.changes.blur import along_a_line, drawn_nearer

ROUGHNESS = 100.0  # of the coarsest step of a fractal; the finest decides, since all is brought to 0 to 1 in the end
FROSTY = np.array([0.86, 0.94, 1.0])  # how white a crystal is, in red, green and blue


def plasma(side: int, decay: float, random: np.random.Generator) -> np.ndarray:
    """A fractal cloud by diamonds and squares (Fournier, Fussell & Carpenter, CACM 1982), 0 to 1, that tiles the plane.

    Args:
        side: power of two.
        decay: by what each finer step is smoother than the one before.
    """
    cloud = random.random((side, side), np.float32)
    _grow(cloud, ROUGHNESS, decay)
    cloud -= cloud.min()
    cloud /= max(float(cloud.max()), 1e-12)
    return cloud


@compiled()
def _grow(cloud: np.ndarray, rough: float, decay: float) -> None:
    """Replace each draw, from 0 to 1, by the mean of four places of the coarser step, moved by it."""
    side = len(cloud)
    last = side - 1  # x & last: the plane is tiled
    cloud[0, 0] = 0
    step = side
    while step >= 2:
        half, reach = step // 2, np.float32(2 * rough * rough)
        for y in range(half, side, step):
            for x in range(half, side, step):
                below, right = (y + half) & last, (x + half) & last
                around = (
                    cloud[y - half, x - half] + cloud[y - half, right] + cloud[below, x - half] + cloud[below, right]
                )
                cloud[y, x] = around / 4 + reach * (cloud[y, x] - np.float32(0.5))
        for y in range(0, side, half):
            for x in range(half if y % step == 0 else 0, side, step):
                up, down = cloud[(y - half) & last, x], cloud[(y + half) & last, x]
                around = up + down + cloud[y, (x - half) & last] + cloud[y, (x + half) & last]
                cloud[y, x] = around / 4 + reach * (cloud[y, x] - np.float32(0.5))
        step, rough = half, rough / decay


def _cloud(image: np.ndarray, decay: float, random: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    side = 1 << int(np.ceil(np.log2(max(height, width))))
    return np.ascontiguousarray(plasma(side, decay, random)[:height, :width])


def fog(image: np.ndarray, level: tuple[float, float], random: np.random.Generator, beside: Beside) -> np.ndarray:
    """A cloud is added, and all is scaled back to the image's brightest number: thickness and decay."""
    thickness, decay = level
    brightest = float(image.max()) / 255
    kept = brightest / (brightest + thickness)
    added = cv2.multiply(_cloud(image, decay, random), 255 * thickness * kept)
    added = cv2.merge([added] * image.shape[2])
    return np.asarray(cv2.addWeighted(image, kept, added, 1, 0, dtype=cv2.CV_8U)).reshape(image.shape)


def frost(image: np.ndarray, level: tuple[float, float], random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The image's share and that of crystals that grow along the ridges of a cloud."""
    ridges = (1 - np.abs(2 * _cloud(image, 1.8, random) - 1))[..., None] ** 3
    return to_bytes(level[0] * image + level[1] * 255 * ridges * FROSTY)


def snow(image: np.ndarray, level: tuple[float, ...], random: np.random.Generator, beside: Beside) -> np.ndarray:
    """Flakes that fall, blurred by their motion, before an image that gets whiter.

    The level: mean and deviation of the noise that flakes are cut from, how near they are, the threshold, reach and
    deviation of their motion, and the share of the image that keeps its colour.
    """
    mean, deviation, near, threshold, reach, motion, kept = level
    flakes = drawn_nearer(random.normal(mean, deviation, image.shape[:2]).astype(np.float32), near)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    flakes = along_a_line(flakes.astype(np.float32), reach, motion, random.uniform(-135, -45))[..., None]
    x = image.astype(np.float32) / 255
    whiter = np.maximum(x, cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None] * 1.5 + 0.5)
    return to_bytes(255 * (kept * x + (1 - kept) * whiter + flakes + flakes[::-1, ::-1]))


def brightness(image: np.ndarray, added: float, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """A share of the full range is added to the value (of hue, saturation, value)."""
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + added, 0, 1)
    return to_bytes(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def changes(small: bool) -> list[Change]:
    """With the parameters for small images (CIFAR-10-C) or for large ones (ImageNet-C)."""
    flakes = (
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        )
        if small
        else (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        )
    )  # fmt: skip
    crystals = (
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
        if small
        else ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
    )
    clouds = (
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
        if small
        else ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
    )
    added = (0.05, 0.1, 0.15, 0.2, 0.3) if small else (0.1, 0.2, 0.3, 0.4, 0.5)
    return [
        Change("snow", "in snow", "weather", snow, flakes, by_severity("in snow")),
        Change("frost", "behind frost", "weather", frost, crystals, by_severity("behind frost")),
        Change("fog", "in fog", "weather", fog, clouds, by_severity("in fog")),
        Change("brightness", "brightened", "weather", brightness, added,
               tuple(f"brightened by {100 * one:g} % of the range" for one in added), draws=False),
    ]  # fmt: skip
