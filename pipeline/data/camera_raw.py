"""Cameras' raw files (DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2), developed by LibRaw, an optional package."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

ADVICE = (
    "a camera's raw file; to read it install a package: pip install 'before-and-after-2012[raw]', or export it as JPEG"
)


def can_be_developed() -> bool:
    """Whether the package is there."""
    return find_spec("rawpy") is not None


def knows(raw: bytes) -> bool:
    """Whether LibRaw takes it for a raw file; never without the package."""
    if not can_be_developed():
        return False
    import rawpy

    try:
        rawpy.imread(io.BytesIO(raw)).close()
    except rawpy.LibRawError:
        return False
    return True


def develop(raw: bytes, check: Callable[[int, int], None], halved: Callable[[int, int], bool]) -> np.ndarray:
    """A raw file as the camera would show it: its white balance, upright, sRGB.

    Args:
        raw: the file.
        check: raises where an image of this width and height can't be used.
        halved: whether half the width and height are enough, which takes a fraction of the time.

    Returns:
        uint8 (H, W, 3).

    Raises:
        rawpy.LibRawError: LibRaw can't read it.
    """
    import rawpy

    with rawpy.imread(io.BytesIO(raw)) as photograph:
        width, height = photograph.sizes.width, photograph.sizes.height
        check(width, height)
        pixels: np.ndarray = photograph.postprocess(use_camera_wb=True, half_size=halved(width, height))
    return pixels
