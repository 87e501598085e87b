"""Local colour statistics: mean and deviation of R, G and B in each of a patch's 4×4 cells, 96 numbers.

The colour channel of XRCE's systems (Clinchant, Csurka, Perronnin & Renders, ImagEVAL 2007; used with Fisher vectors
by Perronnin, Sánchez & Mensink, ECCV 2010), on the same grid as dense SIFT: a cell is the bin × bin square around each
SIFT bin's centre, cut off at the image's edges.
"""

from __future__ import annotations

import numpy as np

from pipeline.compiled import compiled
from pipeline.descriptors.dense_sift import frame_count
from pipeline.descriptors.grid import BINS, Axis, axis
from pipeline.parallel import slices, threads

STATISTICS = 6  # mean and deviation of three channels
DIMENSION = BINS * BINS * STATISTICS
BATCH_PIXELS = 1 << 14


def local_color(images: np.ndarray, bin_sizes: tuple[int, ...], step: int, workers: int = 1) -> np.ndarray:
    """Colour statistics of every frame of every image.

    Args:
        images: uint8 (N, H, W, 3).
        bin_sizes: pixels a cell; one layer of frames each.
        step: pixels between frames.
        workers: threads.

    Returns:
        float32 (N, F, 96), each [cell y][cell x][mean R, G, B, deviation R, G, B], in 0…1; frames as in grid.places.
    """
    count, height, width = images.shape[:3]
    out = np.empty((count, frame_count(height, width, bin_sizes, step), DIMENSION), np.float32)

    def work(part: slice) -> None:
        batch = np.ascontiguousarray(images[part])
        first = 0
        for size in bin_sizes:
            y, x = (axis(length, size, step) for length in (height, width))
            past = first + len(y.origins) * len(x.origins)
            if past > first:
                rows, row_index = cells_of(y, height)
                columns, column_index = cells_of(x, width)
                _layer(batch, rows, columns, row_index, column_index, first, out[part])
            first = past

    list(threads(work, slices(count, max(1, BATCH_PIXELS // (height * width))), workers))
    return out


def cells_of(frames: Axis, length: int) -> tuple[np.ndarray, np.ndarray]:
    """First and past pixel of every distinct cell along an axis, int64 (P, 2), and each frame's cells (F, 4)."""
    points, index = frames.lattice()
    start = points - frames.bin_size // 2
    return np.clip(np.stack([start, start + frames.bin_size], axis=1), 0, length), index


@compiled()
def _layer(
    images: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    row_index: np.ndarray,
    column_index: np.ndarray,
    first: int,
    out: np.ndarray,
) -> None:
    """The frames of one bin size of a few images, written from frame number `first` on."""
    height, width = images.shape[1:3]
    # Sums over everything above and to the left; they may wrap around, their differences don't.
    integral = np.zeros((height + 1, width + 1, STATISTICS), np.uint32)
    cells = np.empty((len(rows), len(columns), STATISTICS), np.float32)
    for n in range(len(images)):
        _integrate(images[n], integral)
        _statistics(integral, rows, columns, cells)
        target = out[n]
        at = first
        for row in range(len(row_index)):
            for column in range(len(column_index)):
                for i in range(BINS):
                    for j in range(BINS):
                        cell = cells[row_index[row, i], column_index[column, j]]
                        place = (i * BINS + j) * STATISTICS
                        for s in range(STATISTICS):
                            target[at, place + s] = cell[s]
                at += 1


@compiled(forceinline=True)
def _integrate(image: np.ndarray, integral: np.ndarray) -> None:
    """Integral image of three channels and of their squares: (H, W, 3) → (H + 1, W + 1, 6)."""
    height, width, _ = image.shape
    running = np.empty(STATISTICS, np.uint32)
    for y in range(height):
        running[:] = 0
        for x in range(width):
            for c in range(3):
                value = np.uint32(image[y, x, c])
                running[c] += value
                running[3 + c] += value * value
            for s in range(STATISTICS):
                integral[y + 1, x + 1, s] = integral[y, x + 1, s] + running[s]


@compiled(forceinline=True)
def _statistics(integral: np.ndarray, rows: np.ndarray, columns: np.ndarray, out: np.ndarray) -> None:
    """Mean and deviation of every cell."""
    for row in range(len(rows)):
        top, bottom = rows[row, 0], rows[row, 1]
        for column in range(len(columns)):
            left, right = columns[column, 0], columns[column, 1]
            count = (bottom - top) * (right - left)
            for c in range(3):
                total = np.uint32(
                    integral[bottom, right, c] - integral[top, right, c]
                    - integral[bottom, left, c] + integral[top, left, c]
                )  # fmt: skip
                squares = np.uint32(
                    integral[bottom, right, 3 + c] - integral[top, right, 3 + c]
                    - integral[bottom, left, 3 + c] + integral[top, left, 3 + c]
                )  # fmt: skip
                mean = total / count
                out[row, column, c] = mean / 255.0
                out[row, column, 3 + c] = np.sqrt(max(squares / count - mean * mean, 0.0)) / 255.0
