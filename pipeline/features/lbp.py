"""Local binary patterns for batches of images (Ojala, Pietikäinen & Mäenpää, PAMI 2002), as histograms over regions.

A pixel's pattern says which of the points on a circle around it are at least as bright as itself. Uniform patterns
change at most twice along the circle: edges, corners, spots and flat areas. All others share one code.

Codes are those of skimage.feature.local_binary_pattern on the same grey image, every one of them. Its arithmetic is
repeated in double precision, since where grey values are equal the last bit of an interpolated value decides. What
makes it fast: all points of a row share their weights along y, so a row is compared with each point of the circle in
turn, in the processor's vectors; the image has a rim of zeros, so no place is checked; points on pixels aren't
interpolated; and codes come out of a table of all patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.compiled import compiled
from pipeline.context import Codebook, Context
from pipeline.descriptors.dense_sift import to_grey
from pipeline.descriptors.drawing import INK, PAPER, Picture, beside, enlarge, tiles
from pipeline.encoding.half import to_half
from pipeline.encoding.kernel_maps import explicit_map
from pipeline.encoding.regions import Grid, regions
from pipeline.errors import PipelineError
from pipeline.parallel import slices, threads
from pipeline.settings import Section

BATCH = 256
LIGHTEST = 225  # of the grey levels in the picture, so that they differ from paper
NOT_UNIFORM = (255, 120, 0)  # colour in the picture

Method = Literal["uniform", "nri_uniform"]


class Scale(Section):
    """One circle: how many points on it, and its radius in pixels."""

    points: Annotated[int, Field(ge=4, le=24)]
    radius: Annotated[float, Field(ge=1, le=64)]

    @property
    def border(self) -> int:
        """Pixels along the image's edges whose circles leave the image."""
        return ceil(self.radius)


class Settings(Section):
    """Parameters of the patterns, named as in scikit-image, and what is kept of them.

    `method`: uniform is invariant to rotation (riu2: P + 2 codes), nri_uniform is not (u2: P·(P − 1) + 3 codes).
    `radii`: one layer of patterns for each circle. `regions`: a histogram for each cell of these grids. `map`: the
    explicit map of all histograms.
    """

    method: Method
    radii: Annotated[list[Scale], Field(min_length=1)]
    regions: Annotated[list[Grid], Field(min_length=1)]
    map: Literal["none", "hellinger", "chi2"]

    def check(self, height: int, width: int) -> None:
        """See that every region has a pixel whose circles lie inside the image.

        Raises:
            PipelineError: a circle is too large for the images and regions.
        """
        largest = max(self.radii, key=lambda scale: scale.radius)
        if self._fits(largest.border, height, width):
            return
        fitting = [border for border in range(1, largest.border) if self._fits(border, height, width)]
        advice = f"the largest radius that works is {max(fitting)}" if fitting else "no radius works with these regions"
        raise PipelineError(
            f"`lbp.features.radii` has a radius of {largest.radius:g}, but images have {width}×{height} pixels, and "
            f"with regions {', '.join(self.regions)} not every region then has a pixel whose circle lies in the image; "
            f"{advice}"
        )

    def _fits(self, border: int, height: int, width: int) -> bool:
        if min(height, width) <= 2 * border:
            return False
        over = regions(self.regions)
        inside = over.cells(_places(height, width)).reshape(height, width)[border:-border, border:-border]
        return bool(over.members[:, np.unique(inside)].any(axis=1).all())


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Nothing is learned; only checks that the circles fit the images.

    Raises:
        PipelineError: a circle is too large for the images and regions.
    """
    settings.check(*images.shape[1:3])
    return {}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Histograms of codes, scale by scale and region by region, each with sum 1, mapped: float16 (N, D).

    D is R · Σ codes(P) over the scales; three times that for χ².

    Raises:
        PipelineError: a circle is too large for the images and regions.
    """
    settings.check(*images.shape[1:3])

    def work(part: slice) -> np.ndarray:
        grey = grey_levels(images[part])
        layers = [lbp_histograms(grey, scale, settings.method, settings.regions) for scale in settings.radii]
        flat = np.concatenate([layer.reshape(len(grey), -1) for layer in layers], axis=1)
        return to_half(explicit_map(flat, settings.map))

    return np.concatenate(list(threads(work, slices(len(images), BATCH), context.workers)))


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Some images beside the codes of the first scale."""
    scale = settings.radii[0]
    drawn = []
    for image, codes in zip(
        images[:6], lbp_codes(grey_levels(images[:6]), scale.points, scale.radius, settings.method), strict=True
    ):
        drawn.append(beside(enlarge(image, 160), enlarge(_shades(codes, scale, settings.method), 160)))
    caption = (
        f"Images and their local binary patterns: each pixel is compared with {scale.points} points on a circle of "
        f"radius {scale.radius:g} around it, and is the lighter the more of them are at least as bright as itself. "
        "Orange: not uniform, as brighter and darker points alternate. White: the circle leaves the image."
    )
    return [Picture(caption, tiles(drawn, 3))]


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Luminance of RGB images uint8 (N, H, W, 3), rounded to whole levels as OpenCV does: uint8 (N, H, W).

    Whole levels are exact in every precision, so that codes don't depend on how the grey image is stored.
    """
    return to_grey(images).astype(np.uint8)


def code_count(points: int, method: Method) -> int:
    """How many codes there are: P + 2 (riu2) or P·(P − 1) + 3 (u2); the last is that of all other patterns."""
    return points + 2 if method == "uniform" else points * (points - 1) + 3


def lbp_codes(grey: np.ndarray, points: int, radius: float, method: Method, workers: int = 1) -> np.ndarray:
    """Codes of every pixel, as skimage.feature.local_binary_pattern(image, points, radius, method) gives them.

    Outside of the image everything is 0, as there.

    Args:
        grey: (N, H, W) of any real type; compared in double precision.
        points: on the circle, counter-clockwise from the right; 4 to 24.
        radius: of the circle, in pixels.
        method: "uniform" (invariant to rotation) or "nri_uniform" (not).
        workers: threads.

    Returns:
        uint16 (N, H, W), each below code_count(points, method).
    """
    out = np.empty(grey.shape, np.uint16)
    circle, table = _circle(points, float(radius), *grey.shape[1:]), _code_table(points, method)

    def work(part: slice) -> None:
        batch = np.ascontiguousarray(grey[part])
        _codes(batch, circle.steps, circle.down, circle.across, circle.rim, table, out[part])

    list(threads(work, slices(len(grey), BATCH), workers))
    return out


def lbp_histograms(grey: np.ndarray, scale: Scale, method: Method, grids: list[str]) -> np.ndarray:
    """Share of each code among the pixels of each region, for one circle.

    As published, only pixels whose circle lies inside the image are counted: others would be compared with the zeros
    outside of it.

    Args:
        grey: (N, H, W) of any real type.
        scale: the circle.
        method: see lbp_codes.
        grids: see encoding/regions.py; a pixel belongs to the cell in which its centre lies.

    Returns:
        float32 (N, R, code_count(points, method)), each row with sum 1, or 0 where no pixel is counted.
    """
    count, height, width = grey.shape
    over, circle = regions(grids), _circle(scale.points, scale.radius, height, width)
    cells, table = over.cells(_places(height, width)).reshape(height, width), _code_table(scale.points, method)
    counts = np.zeros((count, over.columns * over.rows, code_count(scale.points, method)), np.float32)
    _count(
        np.ascontiguousarray(grey), circle.steps, circle.down, circle.across, circle.rim, table,
        scale.border, cells, counts,
    )  # fmt: skip
    # Counts are whole numbers below 2^24: their sums are exact in single precision, in whatever order.
    summed = np.stack([counts[:, members].sum(axis=1) for members in over.members], axis=1)
    return np.asarray(summed / np.maximum(summed.sum(axis=2, keepdims=True), np.float32(1)))


@dataclass(frozen=True)
class Circle:
    """Where the points of a circle lie around the pixels of an image, and how they are interpolated.

    Attributes:
        steps: int64 (P, 2), rows and columns from a pixel to the pixel above and left of each point.
        down: float64 (P, H), how far each point lies below that pixel, for the pixels of each row.
        across: float64 (P, W), how far right of it, for the pixels of each column.
        rim: pixels around the image that are looked at.
    """

    steps: np.ndarray
    down: np.ndarray
    across: np.ndarray
    rim: int


@lru_cache(maxsize=64)
def _circle(points: int, radius: float, height: int, width: int) -> Circle:
    """The circle with scikit-image's rounding: offsets to five decimals, and sums of place and offset to doubles.

    The second is why `down` and `across` differ in their last bits from row to row and from column to column.
    """
    angles = 2 * np.pi * np.arange(points, dtype=np.float64) / points
    offsets = np.round(np.stack([-radius * np.sin(angles), radius * np.cos(angles)], axis=1), 5)
    steps = np.floor(offsets).astype(np.int64)
    down, across = (
        np.arange(length) + offsets[:, axis, None] - (np.arange(length) + steps[:, axis, None])
        for axis, length in enumerate((height, width))
    )
    return Circle(steps, down, across, ceil(radius) + 1)


@lru_cache(maxsize=4)
def _code_table(points: int, method: Method) -> np.ndarray:
    """The code of every pattern of some points: uint16 (2^P,)."""
    table = np.empty(1 << points, np.uint16)
    _fill(table, points, method == "uniform")
    return table


def _places(height: int, width: int) -> np.ndarray:
    """The centres of all pixels, row by row, x and y in 0…1: (H · W, 2)."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1)


def _shades(codes: np.ndarray, scale: Scale, method: Method) -> np.ndarray:
    """Codes of one image as colours: uint16 (H, W) → uint8 (H, W, 3)."""
    points, border = scale.points, scale.border
    # u2 numbers patterns by their ones, P of each number from 1 to P − 1.
    ones = codes if method == "uniform" else (codes.astype(np.int64) + points - 1) // points
    grey = (INK + (LIGHTEST - INK) * np.minimum(ones, points) / points).astype(np.uint8)
    out = np.repeat(grey[..., None], 3, axis=2)
    out[codes == code_count(points, method) - 1] = NOT_UNIFORM
    framed = np.full_like(out, PAPER)
    framed[border:-border, border:-border] = out[border:-border, border:-border]
    return framed


@compiled()
def _codes(
    images: np.ndarray,
    steps: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    rim: int,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """Codes of all pixels of some images."""
    count, height, width = images.shape
    padded = np.zeros((height + 2 * rim, width + 2 * rim), np.float64)
    for n in range(count):
        padded[rim : rim + height, rim : rim + width] = images[n]
        _codes_of(padded, steps, down, across, rim, table, 0, out[n])


@compiled()
def _count(
    images: np.ndarray,
    steps: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    rim: int,
    table: np.ndarray,
    border: int,
    cells: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Count the codes of each cell, without the pixels of the border: into (N, cells, codes)."""
    count, height, width = images.shape
    padded = np.zeros((height + 2 * rim, width + 2 * rim), np.float64)
    codes = np.empty((height, width), np.uint16)
    for n in range(count):
        padded[rim : rim + height, rim : rim + width] = images[n]
        _codes_of(padded, steps, down, across, rim, table, border, codes)
        for y in range(border, height - border):
            for x in range(border, width - border):
                counts[n, cells[y, x], codes[y, x]] += np.float32(1)


@compiled(forceinline=True)
def _codes_of(
    padded: np.ndarray,
    steps: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    rim: int,
    table: np.ndarray,
    border: int,
    codes: np.ndarray,
) -> None:
    """Codes of one image within a rim of zeros; those of the border are left as they are.

    Compiled without any of fast mathematics' liberties: sums and products round as scikit-image's do.
    """
    height, width = codes.shape
    points = len(steps)
    length = width - 2 * border
    if length <= 0:
        return
    patterns = np.empty(length, np.int64)
    first = rim + border
    for y in range(border, height - border):
        patterns[:] = 0
        centre = padded[rim + y, first : first + length]
        for p in range(points):
            bit = np.int64(1) << p
            row, left = rim + y + steps[p, 0], first + steps[p, 1]
            dy, weights = down[p, y], across[p, border : border + length]
            upper_left, upper_right = padded[row, left : left + length], padded[row, left + 1 : left + 1 + length]
            lower_left, lower_right = (
                padded[row + 1, left : left + length],
                padded[row + 1, left + 1 : left + 1 + length],
            )
            if dy == 0.0 and weights[0] == 0.0:
                for x in range(length):
                    patterns[x] |= bit if upper_left[x] >= centre[x] else 0
            else:
                for x in range(length):
                    dx = weights[x]
                    upper = (1.0 - dx) * upper_left[x] + dx * upper_right[x]
                    lower = (1.0 - dx) * lower_left[x] + dx * lower_right[x]
                    patterns[x] |= bit if (1.0 - dy) * upper + dy * lower >= centre[x] else 0
        for x in range(length):
            codes[y, border + x] = table[patterns[x]]


@compiled()
def _fill(table: np.ndarray, points: int, rotated: bool) -> None:
    for pattern in range(len(table)):
        table[pattern] = _code(pattern, points, rotated)


@compiled(forceinline=True)
def _code(pattern: int, points: int, rotated: bool) -> int:
    """The code of a pattern whose bit p says whether point p is at least as bright as the centre."""
    ones = _ones(pattern)
    next_points = (pattern >> 1) | ((pattern & 1) << (points - 1))
    uniform = _ones(pattern ^ next_points) <= 2
    if rotated:
        return ones if uniform else points + 1
    if not uniform:
        return points * (points - 1) + 2
    if ones == 0:
        return 0
    if ones == points:
        return points * (points - 1) + 1
    # How far the run of ones is turned from where it ends at the last point: scikit-image's rot_index.
    turned = ones - _trailing_zeros(~pattern) if pattern & 1 else points - _trailing_zeros(pattern)
    return 1 + (ones - 1) * points + turned


@compiled(forceinline=True)
def _ones(bits: int) -> int:
    """How many of the lowest 24 bits are 1: sums of pairs, of fours and of eights side by side."""
    bits = bits - ((bits >> 1) & 0x555555)
    bits = (bits & 0x333333) + ((bits >> 2) & 0x333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F
    return (bits + (bits >> 8) + (bits >> 16)) & 31


@compiled(forceinline=True)
def _trailing_zeros(bits: int) -> int:
    """How many zeros there are below the lowest 1 of the lowest 24 bits."""
    return _ones((bits & -bits) - 1)
