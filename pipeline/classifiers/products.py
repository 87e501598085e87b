"""Products of all training vectors with a few directions at once, out of core, on CPUs or a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from pipeline.classifiers.vectors import TILE, Scaling, Vectors
from pipeline.parallel import one_blas_thread, slices, threads

ROWS = 64  # decoded together: small enough for all their columns to stay in the cache between two products
DEVICE_ROWS = 4096  # at most
DEVICE_BYTES = 1 << 31  # of a GPU's memory for decoded rows
GROUPS = 8  # of rows, each summed up by itself, so that sums don't depend on the number of threads
GROUP_BYTES = 1 << 30  # what all groups' sums may take; beyond it there are fewer groups


class Products(Protocol):
    """X is N×D, scaled and centred; directions are float32 (k, D), values float32 (k, N)."""

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """Directions · Xᵀ: (k, N)."""

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Values · X: (k, D)."""

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both in one pass: u = directions · Xᵀ + bias (k, 1), and (weights ∘ u) · X."""


class CpuProducts:
    """On CPUs: a thread decodes some rows tile by tile, and multiplies what lies in its cache."""

    def __init__(self, vectors: Vectors, scaling: Scaling, workers: int) -> None:
        self._vectors, self._scaling, self._workers = vectors, scaling, workers
        self._count, self._dimension = vectors.shape
        self._tiles = slices(self._dimension, TILE)

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """See Products."""
        out = np.empty((len(directions), self._count), np.float32)

        def work(group: slice) -> None:
            buffer = self._buffer(TILE)
            for rows in _within(group):
                out[:, rows] = sum(directions[:, tile] @ self._decode(rows, tile, buffer).T for tile in self._tiles)

        self._run(work, slices(self._count, ROWS * 16))
        return out * np.float32(self._scaling.scale)

    def backward(self, values: np.ndarray) -> np.ndarray:
        """See Products."""
        scaled = values * np.float32(self._scaling.scale)

        def work(group: slice) -> np.ndarray:
            buffer = self._buffer(TILE)
            sums = np.zeros((len(values), self._dimension), np.float32)
            for rows in _within(group):
                for tile in self._tiles:
                    sums[:, tile] += scaled[:, rows] @ self._decode(rows, tile, buffer)
            return sums

        return self._sum(work, len(values))

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Products; each vector is decoded once."""
        scale = np.float32(self._scaling.scale)
        forward = np.empty((len(directions), self._count), np.float32)

        def work(group: slice) -> np.ndarray:
            buffer = self._buffer(self._dimension)
            sums = np.zeros((len(directions), self._dimension), np.float32)
            for rows in _within(group):
                found = np.zeros((len(directions), rows.stop - rows.start), np.float32)
                decoded = []
                for tile in self._tiles:
                    decoded.append(self._decode(rows, tile, buffer))
                    found += directions[:, tile] @ decoded[-1].T
                found *= scale
                found += bias
                forward[:, rows] = found
                found *= scale * weights[:, rows]
                for tile, part in zip(self._tiles, decoded, strict=True):
                    sums[:, tile] += found @ part
            return sums

        return forward, self._sum(work, len(directions))

    def _buffer(self, columns: int) -> np.ndarray:
        return np.empty(ROWS * columns, np.float32)

    def _decode(self, rows: slice, tile: slice, buffer: np.ndarray) -> np.ndarray:
        """Some rows of a tile, contiguous, at the tile's place in a buffer for all tiles, or at its start."""
        height, width = rows.stop - rows.start, tile.stop - tile.start
        start = ROWS * tile.start if len(buffer) > ROWS * TILE else 0
        out = buffer[start : start + height * width].reshape(height, width)
        self._vectors.tile(rows, tile, self._scaling.mean, out)
        return out

    def _sum(self, work: Callable[[slice], np.ndarray], k: int) -> np.ndarray:
        groups = max(2, min(GROUPS, GROUP_BYTES // (4 * k * self._dimension)))
        size = -(-self._count // groups)
        total = np.zeros((k, self._dimension), np.float32)
        for part in self._run(work, slices(self._count, -(-size // ROWS) * ROWS)):
            total += part
        return total

    def _run(self, work: Callable[[slice], np.ndarray | None], groups: list[slice]) -> list[np.ndarray]:
        with one_blas_thread():
            return list(threads(work, groups, self._workers))  # type: ignore[arg-type]


class DeviceProducts:
    """On whatever device torch is given; vectors are decoded there."""

    def __init__(self, vectors: Vectors, scaling: Scaling, device: torch.device) -> None:
        self._vectors, self._device, self._scale = vectors, device, scaling.scale
        self._mean = torch.from_numpy(scaling.mean).to(device)
        a_row = 4 * 4 * vectors.shape[1]  # codes' indices, decoded, centred, scaled
        self._parts = slices(vectors.shape[0], max(1, min(DEVICE_ROWS, DEVICE_BYTES // a_row)))

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """See Products."""
        there = self._there(directions)
        return torch.cat([there @ self._decode(rows).T for rows in self._parts], dim=1).cpu().numpy()

    def backward(self, values: np.ndarray) -> np.ndarray:
        """See Products."""
        there = self._there(values)
        total = torch.zeros(len(values), self._vectors.shape[1], device=self._device)
        for rows in self._parts:
            total += there[:, rows] @ self._decode(rows)
        return total.cpu().numpy()

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Products."""
        there, by, add = self._there(directions), self._there(weights), self._there(bias)
        total = torch.zeros_like(there)
        forward = []
        for rows in self._parts:
            x = self._decode(rows)
            forward.append(there @ x.T + add)
            total += (forward[-1] * by[:, rows]) @ x
        return torch.cat(forward, dim=1).cpu().numpy(), total.cpu().numpy()

    def _there(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self._device)

    def _decode(self, rows: slice) -> torch.Tensor:
        return (self._vectors.rows(rows, self._device) - self._mean) * self._scale


def products(vectors: Vectors, scaling: Scaling, device: torch.device, workers: int) -> Products:
    """The products for a device."""
    if device.type == "cpu":
        return CpuProducts(vectors, scaling, workers)
    return DeviceProducts(vectors, scaling, device)


def _within(group: slice) -> list[slice]:
    return [slice(start, min(start + ROWS, group.stop)) for start in range(group.start, group.stop, ROWS)]
