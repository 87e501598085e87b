"""Images for the page, as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

QUALITY = 80
LOSSLESS_UP_TO = 32  # pixels a side
TILE = 64  # pixels a side at most, in a sheet


def data_uri(image: np.ndarray) -> str:
    """An RGB image, uint8 (H, W, 3), as WebP; one of few pixels lossless."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(image.shape[:2]) <= LOSSLESS_UP_TO:
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


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Images in rows of `columns`, each at most TILE pixels a side: uint8 (N, H, W, 3) → one image."""
    tiles = [_small(image) for image in images]
    height, width = tiles[0].shape[:2] if tiles else (1, 1)
    rows = max(1, -(-len(tiles) // columns))
    out = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, columns)
        out[y * height : (y + 1) * height, x * width : (x + 1) * width] = tile
    return out


def _small(image: np.ndarray) -> np.ndarray:
    side = max(image.shape[:2])
    if side <= TILE:
        return image
    size = (round(image.shape[1] * TILE / side), round(image.shape[0] * TILE / side))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
