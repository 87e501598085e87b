"""Products of all training vectors with a few directions at once, out of core, on CPUs or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from pipeline.classifiers.vectors import TILE, Scaling, Vectors
from pipeline.parallel import one_blas_thread, slices, threads

BLOCK = 1024  # rows whose memory is given back together; a multiple of what is decoded at once
ROWS = 64  # decoded together: small enough for all their columns to stay in the cache between two products
# Of a product of at most so many multiplications OpenBLAS (on AVX-512) does not pack the operands first: with a dozen
# directions it then runs at twice the speed. With more than FEW, tiles would become too narrow for it.
SMALL_PRODUCT = 1_000_000
FEW, FEW_ROWS = 32, 32
WIDTHS = 16  # a tile's width is a multiple of this, and so of all groups of codes
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
    """On CPUs: a thread decodes some rows tile by tile, and multiplies while they lie in its cache."""

    def __init__(self, vectors: Vectors, scaling: Scaling, workers: int) -> None:
        self._vectors, self._scaling, self._workers = vectors, scaling, workers
        self._count, self._dimension = vectors.shape

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """See Products."""
        tiles = Tiles.of(self._dimension, len(directions))
        stacked = tiles.stack(directions)
        out = np.empty((len(directions), self._count), np.float32)

        def work(group: slice) -> None:
            buffer = tiles.buffer()
            for rows in self._rows(group, tiles.rows):
                out[:, rows] = _forward(stacked, self._decode(rows, tiles, buffer))

        self._run(work, slices(self._count, BLOCK))
        return out * np.float32(self._scaling.scale)

    def backward(self, values: np.ndarray) -> np.ndarray:
        """See Products."""
        tiles = Tiles.of(self._dimension, len(values))
        scaled = values * np.float32(self._scaling.scale)

        def work(group: slice) -> np.ndarray:
            buffer, sums, part = tiles.buffer(), tiles.zeros(len(values)), tiles.zeros(len(values))
            for rows in self._rows(group, tiles.rows):
                sums += np.matmul(scaled[:, rows], self._decode(rows, tiles, buffer), out=part)
            return sums

        return self._sum(work, tiles, len(values))

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Products; each vector is decoded once."""
        tiles, k = Tiles.of(self._dimension, len(directions)), len(directions)
        stacked = tiles.stack(directions)
        scale = np.float32(self._scaling.scale)
        forward = np.empty((k, self._count), np.float32)

        def work(group: slice) -> np.ndarray:
            buffer, sums, part = tiles.buffer(), tiles.zeros(k), tiles.zeros(k)
            for rows in self._rows(group, tiles.rows):
                decoded = self._decode(rows, tiles, buffer)
                found = _forward(stacked, decoded) * scale + bias
                forward[:, rows] = found
                found *= scale * weights[:, rows]
                sums += np.matmul(found, decoded, out=part)
            return sums

        return forward, self._sum(work, tiles, k)

    def _rows(self, group: slice, size: int) -> Iterator[slice]:
        """The group's rows, so many at once; their memory is given back block by block."""
        for block in _within(group, BLOCK):
            yield from _within(block, size)
            self._vectors.forget(block)

    def _decode(self, rows: slice, tiles: Tiles, buffer: np.ndarray) -> np.ndarray:
        """Some rows in a buffer, (tiles, rows, width)."""
        height = rows.stop - rows.start
        for number, columns in enumerate(slices(self._dimension, tiles.width)):
            narrow = columns.stop - columns.start
            out = buffer[number, :height]
            if narrow == tiles.width:
                self._vectors.tile(rows, columns, self._scaling.mean, out)
            else:
                rest = np.empty((height, narrow), np.float32)
                self._vectors.tile(rows, columns, self._scaling.mean, rest)
                out[:, :narrow] = rest
        return buffer[:, :height]

    def _sum(self, work: Callable[[slice], np.ndarray], tiles: Tiles, k: int) -> np.ndarray:
        groups = max(2, min(GROUPS, GROUP_BYTES // (4 * k * self._dimension)))
        size = -(-self._count // groups)
        total = tiles.zeros(k)
        for part in self._run(work, slices(self._count, -(-size // ROWS) * ROWS)):
            total += part
        return tiles.unstack(total)

    def _run(self, work: Callable[[slice], np.ndarray | None], groups: list[slice]) -> list[np.ndarray]:
        with one_blas_thread():
            return list(threads(work, groups, self._workers))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tiles:
    """Columns cut into tiles of one width, stacked; behind the last columns there may be zeros.

    A stack is multiplied by one call, tile by tile: (tiles, k, width), or (tiles, rows, width) for decoded rows.

    Attributes:
        dimension: D.
        rows: decoded together, at most.
        count: of tiles.
        width: of a tile.
    """

    dimension: int
    rows: int
    count: int
    width: int

    @staticmethod
    def of(dimension: int, k: int) -> Tiles:
        """For products with k directions."""
        rows, widest = ROWS, TILE
        if k <= FEW:
            rows = FEW_ROWS
            widest = min(TILE, SMALL_PRODUCT // (k * rows) // WIDTHS * WIDTHS)
        count = -(-dimension // widest)
        return Tiles(dimension, rows, count, -(-dimension // (count * WIDTHS)) * WIDTHS)

    def stack(self, rows: np.ndarray) -> np.ndarray:
        """Float32 (k, D) as (tiles, k, width)."""
        padded = np.pad(rows, ((0, 0), (0, self.count * self.width - self.dimension)))
        return np.ascontiguousarray(padded.reshape(len(rows), self.count, self.width).swapaxes(0, 1))

    def unstack(self, stacked: np.ndarray) -> np.ndarray:
        """Back to (k, D)."""
        return np.ascontiguousarray(stacked.swapaxes(0, 1).reshape(stacked.shape[1], -1)[:, : self.dimension])

    def zeros(self, k: int) -> np.ndarray:
        """For sums: (tiles, k, width)."""
        return np.zeros((self.count, k, self.width), np.float32)

    def buffer(self) -> np.ndarray:
        """For decoded rows: (tiles, rows, width)."""
        return self.zeros(self.rows)


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
        decoded = self._vectors.rows(rows, self._device)
        self._vectors.forget(rows)
        return (decoded - self._mean) * self._scale


def products(vectors: Vectors, scaling: Scaling, device: torch.device, workers: int) -> Products:
    """The products for a device."""
    if device.type == "cpu":
        return CpuProducts(vectors, scaling, workers)
    return DeviceProducts(vectors, scaling, device)


def _forward(stacked: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Directions (tiles, k, width) · decoded rows (tiles, rows, width): (k, rows)."""
    products_of_tiles = np.matmul(stacked, decoded.transpose(0, 2, 1))
    found: np.ndarray = products_of_tiles.sum(axis=0)
    return found


def _within(group: slice, size: int) -> list[slice]:
    return [slice(start, min(start + size, group.stop)) for start in range(group.start, group.stop, size)]
