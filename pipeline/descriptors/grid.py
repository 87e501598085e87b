"""Where dense descriptors lie: 4×4 spatial bins on a regular grid of frames, as in VLFeat's vl_dsift.

A frame with bins of b pixels has its 4×4 bin centres at origin + (0, b, 2b, 3b) along each axis. Frames stand `step`
pixels apart, as many as fit with all bin centres inside the image, and the grid is centred in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.errors import PipelineError

BINS = 4  # along each axis


@dataclass(frozen=True)
class Axis:
    """Frames along one axis.

    Attributes:
        origins: int64 (F,), first bin centre of each frame, in pixels.
        bin_size: pixels between bin centres.
    """

    origins: np.ndarray
    bin_size: int

    @property
    def centres(self) -> np.ndarray:
        """Middle of each frame in pixels, float64 (F,)."""
        return np.asarray(self.origins + (BINS - 1) * self.bin_size / 2)

    def lattice(self) -> tuple[np.ndarray, np.ndarray]:
        """All distinct bin centres, int64 (P,), and which of them each frame's bins are, int64 (F, 4)."""
        places = self.origins[:, None] + self.bin_size * np.arange(BINS)[None, :]
        distinct, index = np.unique(places, return_inverse=True)
        return distinct, index.reshape(places.shape)


def smallest_side(bin_size: int) -> int:
    """The shortest side on which one frame fits."""
    return (BINS - 1) * bin_size + 1


def axis(length: int, bin_size: int, step: int) -> Axis:
    """Frames along an axis of `length` pixels; none where not even one fits."""
    room = length - smallest_side(bin_size)
    if room < 0:
        return Axis(np.empty(0, np.int64), bin_size)
    return Axis(room % step // 2 + step * np.arange(room // step + 1), bin_size)


@lru_cache(maxsize=16)
def places(height: int, width: int, bin_sizes: tuple[int, ...], step: int) -> np.ndarray:
    """Centre of every frame, as fractions of the image: float32 (F, 2), x and y in 0…1.

    Order of all dense descriptors: by bin size, then row by row.
    """
    found = []
    for bin_size in bin_sizes:
        y, x = (axis(length, bin_size, step).centres for length in (height, width))
        grid = np.stack(np.meshgrid((x + 0.5) / width, (y + 0.5) / height), axis=-1)
        found.append(grid.reshape(-1, 2))
    return np.concatenate(found).astype(np.float32)


def check_fits(height: int, width: int, bin_sizes: list[int], key: str) -> None:
    """Refuse bins that are too large for the images.

    Raises:
        PipelineError: names the key, and the largest bin that works.
    """
    side = min(height, width)
    too_large = [size for size in bin_sizes if smallest_side(size) > side]
    if too_large:
        largest = (side - 1) // (BINS - 1)
        remedy = f"the largest that works is {largest}" if largest else "none works"
        raise PipelineError(
            f"`{key}` has {too_large[0]}: a patch of {BINS}×{BINS} bins then needs images of at least "
            f"{smallest_side(too_large[0])} pixels a side, and these have {width}×{height}; {remedy}"
        )
