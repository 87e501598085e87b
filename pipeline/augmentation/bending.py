"""Images turned, scaled, squeezed, sheared, cropped and bent: all places at once, then one interpolation.

Planar affine distortions as LeNet-5's 540,000 (LeCun et al. 1998, section III.A), elastic ones as Simard, Steinkraus &
Platt (ICDAR 2003), random resized crops as Szegedy et al. (CVPR 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from pipeline.device import to_device
from pipeline.settings import Augmentation, Distortion

#: some(draw) gives a number in [0, 1) for each image; some(draw, count) gives `count`.
Draws = Callable[..., np.ndarray]

LONGEST, SHORTEST = 4 / 3, 3 / 4  # sides of a crop
NEIGHBOURHOOD = 4  # pixels between the places that elastic distortions move by themselves
FIRST_DRAW = 16  # draws below belong to mirror and shift


def bend(images: torch.Tensor, allowed: Augmentation, some: Draws, turned: np.ndarray) -> torch.Tensor:
    """Every change of place that is allowed, with linear interpolation between pixels and edges continued.

    Args:
        images: uint8 (B, H, W, C).
        some: the images' random numbers.
        turned: bool (B,), which ones are mirrored.

    Returns:
        uint8 (B, H, W, C).
    """
    count, height, width, _ = images.shape
    matrix = np.tile(np.eye(2), (count, 1, 1))  # from places in the new image to places in the old one
    centre = np.zeros((count, 2))  # both from -1 to 1, x before y
    if allowed.distort is not None:
        matrix = matrix @ _affine(allowed.distort, some)
    if allowed.crop is not None:
        window, centre = _window(allowed.crop, some)
        matrix = window[:, :, None] * matrix
    centre = centre + _drawn(some, 0, 2) * (2 * allowed.shift / np.array([width, height]))
    matrix = matrix * np.where(turned, -1.0, 1.0)[:, None, None] ** np.array([1, 0])  # x turns round
    where = to_device(np.concatenate([matrix, centre[:, :, None]], axis=2).astype(np.float32), images.device)
    grid = torch.nn.functional.affine_grid(where, [count, 1, height, width], align_corners=False)
    if allowed.distort is not None and allowed.distort.elastic:
        grid = grid + _elastic(allowed.distort.elastic, some, images)
    out = torch.nn.functional.grid_sample(
        images.permute(0, 3, 1, 2).float(), grid, padding_mode="border", align_corners=False
    )
    return out.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _drawn(some: Draws, draw: int, count: int) -> np.ndarray:
    """From -1 to 1, (B, count)."""
    return 2 * some(FIRST_DRAW + draw, count) - 1


def _affine(distort: Distortion, some: Draws) -> np.ndarray:
    """Rotation · shear · scale, (B, 2, 2)."""
    angle, shear = np.deg2rad(_drawn(some, 1, 2) * [distort.rotate, distort.shear]).T
    scale = 1 + _drawn(some, 2, 2) * distort.scale
    zero, one = np.zeros(len(angle)), np.ones(len(angle))
    rotation = _matrices(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
    return np.asarray(
        rotation @ _matrices(one, np.tan(shear), zero, one) @ _matrices(1 / scale[:, 0], zero, zero, 1 / scale[:, 1])
    )


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([a, b], axis=1), np.stack([c, d], axis=1)], axis=1)


def _window(smallest: float, some: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Half sides and centre of a part of the image, (B, 2) each: an area from `smallest` to 1, sides 3:4 to 4:3."""
    area = smallest + (1 - smallest) * some(FIRST_DRAW + 3)
    ratio = np.exp(np.log(SHORTEST) + (np.log(LONGEST) - np.log(SHORTEST)) * some(FIRST_DRAW + 4))
    half = np.minimum(np.sqrt(area[:, None] * np.stack([ratio, 1 / ratio], axis=1)), 1.0)
    return half, _drawn(some, 5, 2) * (1 - half)


def _elastic(pixels: float, some: Draws, images: torch.Tensor) -> torch.Tensor:
    """How far each place moves: smooth noise between places that are drawn, float32 (B, H, W, 2) on their device."""
    count, height, width, _ = images.shape
    rows, columns = height // NEIGHBOURHOOD + 1, width // NEIGHBOURHOOD + 1
    # The sum of three even numbers is near enough to a normal one.
    noise = sum(_drawn(some, 6 + number, 2 * rows * columns) for number in range(3))
    field = to_device(np.asarray(noise, np.float32).reshape(count, 2, rows, columns), images.device)
    smooth = torch.nn.functional.interpolate(field, (height, width), mode="bicubic", align_corners=True)
    step = to_device(np.array([2 * pixels / width, 2 * pixels / height], np.float32), images.device)
    return smooth.permute(0, 2, 3, 1) * step
