"""Images for the page, as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

QUALITY = 88
TILE = 64  # pixels a side at most, in a sheet


def data_uri(image: np.ndarray) -> str:
    """An RGB image, uint8 (H, W, 3), as WebP; small ones lossless."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(image.shape[:2]) <= 32:
        picture.save(buffer, "WEBP", lossless=True, quality=100)
    else:
        picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def row_of(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """Images side by side on white, uint8 (N, H, W, 3) → (H, …, 3); larger ones are scaled to TILE."""
    tiles = [_small(image) for image in images]
    height = tiles[0].shape[0]
    spacer = np.full((height, gap, 3), 255, np.uint8)
    parts = [part for tile in tiles for part in (tile, spacer)]
    return np.hstack(parts[:-1])


def _small(image: np.ndarray) -> np.ndarray:
    side = max(image.shape[:2])
    if side <= TILE:
        return image
    size = (round(image.shape[1] * TILE / side), round(image.shape[0] * TILE / side))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
