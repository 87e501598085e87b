"""Local colour statistics on whatever device torch is given, for GPUs: the same numbers as local_color.py."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.descriptors.grid import BINS, axis
from pipeline.descriptors.local_color import DIMENSION, STATISTICS, cells_of


def local_color_torch(images: torch.Tensor, bin_sizes: tuple[int, ...], step: int) -> torch.Tensor:
    """Colour statistics of every frame of every image; see local_color.

    Args:
        images: uint8 (N, H, W, 3) on any device.

    Returns:
        float32 (N, F, 96), on that device.
    """
    height, width = images.shape[1:3]
    integral = _integral(images)
    layers = []
    for size in bin_sizes:
        y, x = axis(height, size, step), axis(width, size, step)
        if len(y.origins) and len(x.origins):
            rows, row_index = cells_of(y, height)
            columns, column_index = cells_of(x, width)
            layers.append(_frames(_statistics(integral, rows, columns), row_index, column_index))
    return torch.cat(layers, dim=1)


def _integral(images: torch.Tensor) -> torch.Tensor:
    """Sums of values and of squares over everything above and to the left: float64 (N, H + 1, W + 1, 6), exact."""
    values = images.double()
    sums = torch.cat([values, values**2], dim=3).cumsum(dim=1).cumsum(dim=2)
    return torch.nn.functional.pad(sums, (0, 0, 1, 0, 1, 0))


def _statistics(integral: torch.Tensor, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    """Mean and deviation of every cell: float32 (N, rows, columns, 6)."""
    (top, bottom), (left, right) = (
        (torch.from_numpy(np.ascontiguousarray(side)).to(integral.device) for side in cells.T)
        for cells in (rows, columns)
    )
    lower, upper = integral[:, bottom], integral[:, top]
    sums = lower[:, :, right] - lower[:, :, left] - upper[:, :, right] + upper[:, :, left]
    means = sums / ((bottom - top)[:, None] * (right - left))[..., None]
    mean, square = means[..., :3], means[..., 3:]
    deviation = (square - mean**2).clamp(min=0).sqrt()
    return (torch.cat([mean, deviation], dim=3) / 255).float()


def _frames(cells: torch.Tensor, row_index: np.ndarray, column_index: np.ndarray) -> torch.Tensor:
    """Each frame's 4×4 cells: float32 (N, frames, 96)."""
    rows = torch.from_numpy(row_index).to(cells.device)
    columns = torch.from_numpy(column_index).to(cells.device)
    found = cells[:, rows[:, None, :, None], columns[None, :, None, :]]
    assert found.shape[3:] == (BINS, BINS, STATISTICS)
    return found.reshape(len(cells), -1, DIMENSION)
