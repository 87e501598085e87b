"""Dense SIFT for batches of images: Lowe's descriptor (IJCV 2004, section 6) on a grid, upright, one scale a bin size.

The geometry and the numbers are those of VLFeat's vl_dsift (Vedaldi & Fulkerson, 2008): gradients of the grey image,
linear interpolation between 8 directions, triangular weighting between 4×4 spatial bins, a Gaussian window over the
patch, L2 norm, clipping at 0.2, L2 norm again.

What makes it fast: a pixel's 8 directions are one vector of the processor, computed without a table or a branch. The
spatial bins of all frames lie on one lattice, so each lattice point is summed once, first along x, then along y. All
steps of an image stay in the cache of one core, while other threads work on other images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from pipeline.compiled import compiled
from pipeline.descriptors.grid import BINS, Axis, axis
from pipeline.parallel import slices, threads

DIRECTIONS = 8
DIMENSION = BINS * BINS * DIRECTIONS
CLIP = 0.2
WINDOW = 2.0  # deviation of the Gaussian window, in bins (VLFeat's default)
EPS = 1e-7  # a patch without any gradient has the descriptor 0
BATCH_PIXELS = 1 << 14  # what a thread takes at once: its direction planes then fit into the cache

Window = Literal["flat", "gaussian"]
Norm = Literal["L2", "root"]


@dataclass(frozen=True)
class AxisPlan:
    """How the bins along one axis come out of pixels.

    Attributes:
        starts: int64 (P,), first pixel under each lattice point's kernel; may lie outside the image.
        kernel_of: int64 (P,), which kernel it uses.
        kernels: float32 (K, 2·bin − 1).
        index: int64 (F, 4), the lattice point of each frame's bins.
        weights: float32 (4,), what is left to multiply each bin with.
    """

    starts: np.ndarray
    kernel_of: np.ndarray
    kernels: np.ndarray
    index: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=64)
def axis_plan(length: int, bin_size: int, step: int, window: Window) -> AxisPlan:
    """The plan for one axis.

    flat: every bin is a plain triangle, shared between frames, times the window's mean over the bin. Fast, and what
    VLFeat calls flat window. gaussian: a kernel for each of the four bins, window included; exact.
    """
    frames = axis(length, bin_size, step)
    offsets = np.arange(-bin_size + 1, bin_size)
    triangle = 1 - np.abs(offsets) / bin_size
    from_centre = bin_size * (np.arange(BINS) - (BINS - 1) / 2)[:, None] + offsets[None, :]
    windows = np.exp(-0.5 * (from_centre / (bin_size * WINDOW)) ** 2)
    if window == "flat":
        points, index = frames.lattice()
        kernel_of, kernels, weights = np.zeros(len(points), np.int64), triangle[None, :], windows.mean(axis=1)
    else:
        points = _every_bin(frames)
        index = np.arange(len(points)).reshape(-1, BINS)
        kernel_of, kernels, weights = np.tile(np.arange(BINS), len(index)), triangle * windows, np.ones(BINS)
    return AxisPlan(
        points - bin_size + 1,
        kernel_of,
        np.ascontiguousarray(kernels / bin_size, np.float32),
        index,
        weights.astype(np.float32),
    )


def _every_bin(frames: Axis) -> np.ndarray:
    return np.asarray(frames.origins[:, None] + frames.bin_size * np.arange(BINS)[None, :]).reshape(-1)


def frame_count(height: int, width: int, bin_sizes: tuple[int, ...], step: int) -> int:
    """Descriptors of one image."""
    sizes = [(axis(height, size, step).origins.size, axis(width, size, step).origins.size) for size in bin_sizes]
    return sum(rows * columns for rows, columns in sizes)


def dense_sift(
    images: np.ndarray,
    bin_sizes: tuple[int, ...],
    step: int,
    window: Window = "flat",
    norm: Norm = "L2",
    workers: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """SIFT of every frame of every image.

    Args:
        images: uint8 (N, H, W, 3) RGB, or grey (N, H, W) of any dtype, values 0-255.
        bin_sizes: pixels a spatial bin; one layer of frames each.
        step: pixels between frames.
        window: see axis_plan.
        norm: "L2", or "root": L1 norm and square root, so that dot products are Hellinger's kernel (Arandjelović &
            Zisserman, CVPR 2012); its L2 norm is 1, too.
        workers: threads.

    Returns:
        descriptors float32 (N, F, 128), each [bin y][bin x][direction], directions counter-clockwise with y down, as
        VLFeat orders them; norms float32 (N, F): L2 norm of each patch's weighted gradients before normalisation, in
        units of grey values: how much contrast there was. F is frame_count(...); the order is that of grid.places.
    """
    count, height, width = images.shape[:3]
    frames = frame_count(height, width, bin_sizes, step)
    descriptors = np.empty((count, frames, DIMENSION), np.float32)
    norms = np.empty((count, frames), np.float32)

    def work(part: slice) -> None:
        grey = to_grey(images[part])
        _describe(grey, bin_sizes, step, window, norm == "root", descriptors[part], norms[part])

    list(threads(work, slices(count, max(1, BATCH_PIXELS // (height * width))), workers))
    return descriptors, norms


def to_grey(images: np.ndarray) -> np.ndarray:
    """Luminance of RGB images as OpenCV rounds it, or grey ones as they are: float32 (N, H, W)."""
    if images.ndim == 3:
        return np.ascontiguousarray(images, np.float32)
    flat = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)
    return cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY).reshape(images.shape[:3]).astype(np.float32)


def _describe(
    grey: np.ndarray,
    bin_sizes: tuple[int, ...],
    step: int,
    window: Window,
    root: bool,
    descriptors: np.ndarray,
    norms: np.ndarray,
) -> None:
    """All layers of a few images into the given arrays."""
    planes = np.empty((*grey.shape, DIRECTIONS), np.float32)
    _direction_planes(grey, planes)
    first = 0
    for size in bin_sizes:
        y, x = (axis_plan(length, size, step, window) for length in grey.shape[1:])
        past = first + len(y.index) * len(x.index)
        if past > first:
            places = (y.starts, y.kernel_of, y.kernels, x.starts, x.kernel_of, x.kernels)
            weights = np.outer(y.weights, x.weights)
            _layer(planes, *places, y.index, x.index, weights, root, first, descriptors, norms)
        first = past


@compiled()
def _direction_planes(images: np.ndarray, planes: np.ndarray) -> None:
    """Direction planes of a few images, float32 (n, H, W) → (n, H, W, 8)."""
    for n in range(len(images)):
        _directions_of(images[n], planes[n])


@compiled()
def _layer(
    planes: np.ndarray,
    row_starts: np.ndarray,
    row_kernel: np.ndarray,
    row_kernels: np.ndarray,
    column_starts: np.ndarray,
    column_kernel: np.ndarray,
    column_kernels: np.ndarray,
    row_index: np.ndarray,
    column_index: np.ndarray,
    weights: np.ndarray,
    root: bool,
    first: int,
    descriptors: np.ndarray,
    norms: np.ndarray,
) -> None:
    """The frames of one bin size of a few images, written from frame number `first` on."""
    height = planes.shape[1]
    across = np.empty((height, len(column_starts) * DIRECTIONS), np.float32)
    sums = np.empty((len(row_starts), len(column_starts) * DIRECTIONS), np.float32)
    for n in range(len(planes)):
        _sum_along_x(planes[n], column_starts, column_kernel, column_kernels, across)
        _sum_along_y(across, row_starts, row_kernel, row_kernels, sums)
        _assemble(sums, row_index, column_index, weights, root, first, descriptors[n], norms[n])


@compiled(forceinline=True, fastmath={"contract", "nnan", "ninf", "nsz", "arcp"})
def _directions_of(image: np.ndarray, planes: np.ndarray) -> None:
    """Gradient magnitude of every pixel, shared between its two nearest directions: into (H, W, 8).

    Differences are central, and one-sided at the edges. The arc tangent is Abramowitz & Stegun's 4.4.49 with the
    minimax coefficients of degree 11 (error below 2e-6): it vectorises, the library's does not.
    """
    height, width = image.shape
    position = np.empty(width, np.float32)
    magnitude = np.empty(width, np.float32)
    half, one, two, four, eight = np.float32(0.5), np.float32(1), np.float32(2), np.float32(4), np.float32(8)
    to_bins = np.float32(DIRECTIONS / (2 * np.pi))
    tiny = np.float32(1e-20)
    for row in range(height):
        above, below = max(row - 1, 0), min(row + 1, height - 1)
        down = half if below - above == 2 else one
        for x in range(width):
            magnitude[x] = down * (image[below, x] - image[above, x])
        for x in range(1, width - 1):
            position[x] = half * (image[row, x + 1] - image[row, x - 1])
        position[0] = image[row, min(1, width - 1)] - image[row, 0]
        position[width - 1] = image[row, width - 1] - image[row, max(width - 2, 0)]
        for x in range(width):
            dx, dy = position[x], magnitude[x]
            long, short = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
            a = short / (long + tiny)
            s = a * a
            angle = (
                ((((np.float32(-0.01172120) * s + np.float32(0.05265332)) * s + np.float32(-0.11643287)) * s
                  + np.float32(0.19354346)) * s + np.float32(-0.33262347)) * s + np.float32(0.99997726)
            ) * a * to_bins  # fmt: skip
            angle = two - angle if abs(dy) > abs(dx) else angle
            angle = four - angle if dx < 0 else angle
            angle = eight - angle if dy < 0 else angle
            magnitude[x] = np.sqrt(dx * dx + dy * dy)
            position[x] = angle
        line = planes[row]
        for x in range(width):
            p, m = position[x], magnitude[x]
            for direction in range(DIRECTIONS):
                away = abs(p - np.float32(direction))
                away = min(away, eight - away)
                line[x, direction] = m * max(np.float32(0), one - away)


@compiled(forceinline=True, fastmath={"contract", "nnan", "ninf", "nsz"})
def _sum_along_x(
    planes: np.ndarray, starts: np.ndarray, kernel_of: np.ndarray, kernels: np.ndarray, out: np.ndarray
) -> None:
    """Weighted sums around each lattice column, edges continued: (H, W, 8) → (H, columns · 8)."""
    height, width, _ = planes.shape
    taps = kernels.shape[1]
    sums = np.empty(DIRECTIONS, np.float32)
    for y in range(height):
        for column in range(len(starts)):
            kernel, start = kernels[kernel_of[column]], starts[column]
            sums[:] = 0
            if start >= 0 and start + taps <= width:
                for tap in range(taps):
                    for direction in range(DIRECTIONS):
                        sums[direction] += kernel[tap] * planes[y, start + tap, direction]
            else:
                for tap in range(taps):
                    x = min(max(start + tap, 0), width - 1)
                    for direction in range(DIRECTIONS):
                        sums[direction] += kernel[tap] * planes[y, x, direction]
            for direction in range(DIRECTIONS):
                out[y, column * DIRECTIONS + direction] = sums[direction]


@compiled(forceinline=True, fastmath={"contract", "nnan", "ninf", "nsz"})
def _sum_along_y(
    across: np.ndarray, starts: np.ndarray, kernel_of: np.ndarray, kernels: np.ndarray, out: np.ndarray
) -> None:
    """Weighted sums around each lattice row, edges continued: (H, columns · 8) → (rows, columns · 8)."""
    height, length = across.shape
    for row in range(len(starts)):
        kernel = kernels[kernel_of[row]]
        total = out[row]
        total[:] = 0
        for tap in range(kernels.shape[1]):
            line, weight = across[min(max(starts[row] + tap, 0), height - 1)], kernel[tap]
            for i in range(length):
                total[i] += weight * line[i]


@compiled(forceinline=True, fastmath={"reassoc", "contract", "nnan", "ninf", "nsz"})
def _assemble(
    sums: np.ndarray,
    row_index: np.ndarray,
    column_index: np.ndarray,
    weights: np.ndarray,
    root: bool,
    first: int,
    out: np.ndarray,
    norms: np.ndarray,
) -> None:
    """Gather each frame's 4×4 bins and normalise: into rows of (F, 128) and (F,) from `first` on."""
    at = first
    for row in range(len(row_index)):
        for column in range(len(column_index)):
            descriptor = out[at]
            square = np.float32(0)
            for i in range(BINS):
                line = sums[row_index[row, i]]
                for j in range(BINS):
                    start = column_index[column, j] * DIRECTIONS
                    place = (i * BINS + j) * DIRECTIONS
                    weight = weights[i, j]
                    for direction in range(DIRECTIONS):
                        descriptor[place + direction] = weight * line[start + direction]
            for d in range(DIMENSION):
                square += descriptor[d] * descriptor[d]
            length = np.sqrt(square)
            norms[at] = length
            scale = np.float32(1) / (length + np.float32(EPS))
            square = np.float32(0)
            total = np.float32(0)
            for d in range(DIMENSION):
                value = min(descriptor[d] * scale, np.float32(CLIP))
                descriptor[d] = value
                square += value * value
                total += value
            if root:
                scale = np.float32(1) / (total + np.float32(EPS))
                for d in range(DIMENSION):
                    descriptor[d] = np.sqrt(descriptor[d] * scale)
            else:
                scale = np.float32(1) / (np.sqrt(square) + np.float32(EPS))
                for d in range(DIMENSION):
                    descriptor[d] *= scale
            at += 1
