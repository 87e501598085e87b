"""Changes of colour: AlexNet's noise along the principal colours, and squares that are greyed out."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtri

from pipeline.augmentation.bending import Draws
from pipeline.device import to_device

COLOR_DRAW, CUTOUT_DRAW = 40, 44
GREY = 128


def principal_colors(images: np.ndarray) -> np.ndarray:
    """Eigenvectors of the covariance of pixels from 0 to 1, each times its eigenvalue: float64 (3, 3), by column."""
    total, squares, count = np.zeros(3), np.zeros((3, 3)), 0
    for start in range(0, len(images), 4096):
        pixels = np.asarray(images[start : start + 4096]).reshape(-1, 3) / 255.0
        total += pixels.sum(axis=0)
        squares += pixels.T @ pixels
        count += len(pixels)
    mean = total / count
    values, vectors = np.linalg.eigh(squares / count - np.outer(mean, mean))
    return np.asarray(vectors * values)


def add_noise(images: torch.Tensor, deviation: float, palette: np.ndarray, some: Draws) -> torch.Tensor:
    """One random colour on all pixels of an image (Krizhevsky et al. 2012, section 4.1): uint8 (B, H, W, C).

    Args:
        deviation: of the normal numbers by which principal colours are multiplied; 0.1 in the paper.
        palette: from `principal_colors`; grey images take their mean.
    """
    amounts = ndtri(np.clip(some(COLOR_DRAW, 3), 1e-9, 1 - 1e-9)) * deviation
    color = 255 * amounts @ palette.T
    if images.shape[3] == 1:
        color = color.mean(axis=1, keepdims=True)
    offset = to_device(color.astype(np.float32), images.device)[:, None, None, :]
    return (images.float() + offset).round_().clamp_(0, 255).to(torch.uint8)


def cut_out(images: torch.Tensor, side: int, some: Draws) -> torch.Tensor:
    """A grey square around a random place, clipped at the borders (DeVries & Taylor 2017): uint8 (B, H, W, C)."""
    height, width = images.shape[1:3]
    place = some(CUTOUT_DRAW, 2)
    inside = []
    for length, centre in ((height, np.floor(place[:, 0] * height)), (width, np.floor(place[:, 1] * width))):
        distance = np.arange(length)[None, :] - centre[:, None]
        inside.append(to_device((distance >= -(side // 2)) & (distance < side - side // 2), images.device))
    square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return torch.where(square, torch.full_like(images[:1, :1, :1, :1], GREY), images)
