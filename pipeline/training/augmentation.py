"""The changes that leave an image in its class, the same for both eras: mirror and shift.

What an image gets is a function of (seed, epoch, image), never of the batch or the worker that it falls to.
"""

from __future__ import annotations

import numpy as np
import torch

from pipeline.randomness import seed_for, uniform_hash
from pipeline.settings import Augmentation


def augment(
    images: torch.Tensor,
    numbers: np.ndarray,
    epoch: int,
    seed: int,
    augmentation: Augmentation,
    mirror: bool | None = None,
) -> torch.Tensor:
    """Mirror half of the images and shift each by up to `augmentation.shift` pixels; edges are continued.

    Args:
        images: (B, H, W, C), any dtype and device.
        numbers: int (B,), the images' positions in train.
        epoch: gives every pass other changes.
        mirror: mirror all or none instead of a random half, where mirroring is allowed.

    Returns:
        (B, H, W, C) of the same dtype and device; `images` itself where nothing may change.
    """
    if not augmentation.mirror and augmentation.shift == 0:
        return images
    count, height, width, _ = images.shape
    step = seed_for(seed, f"augment {epoch}")
    reach = 2 * augmentation.shift + 1
    down, right, turn = (uniform_hash(step, draw, numbers) for draw in range(3))
    rows = _shifted(height, np.floor(down * reach) - augmentation.shift)
    columns = _shifted(width, np.floor(right * reach) - augmentation.shift)
    if augmentation.mirror:
        turned = turn < 0.5 if mirror is None else np.full(count, mirror)
        columns = np.where(turned[:, None], columns[:, ::-1], columns)
    pixels = rows[:, :, None] * width + columns[:, None, :] + (np.arange(count) * (height * width))[:, None, None]
    flat = torch.from_numpy(pixels.reshape(-1)).to(images.device)
    return images.reshape(count * height * width, -1).index_select(0, flat).reshape(images.shape)


def _shifted(length: int, shift: np.ndarray) -> np.ndarray:
    """Where each of `length` positions comes from, int64 (B, length)."""
    return np.clip(np.arange(length)[None, :] + shift[:, None].astype(np.int64), 0, length - 1)
