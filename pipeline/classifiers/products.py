"""Products of all training vectors with a few directions at once, out of core, on CPUs or a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
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
GROUPS = 32  # of rows, each summed up by itself, so that sums don't depend on how many threads or machines work
GROUP_ROWS = 256  # at least: to add a group's sums takes as long as to multiply some dozen rows
SUMS_BYTES = 1 << 30  # what the sums of groups may take that are being added up


class Products(Protocol):
    """X is N×D, scaled and centred; directions are float32 (k, D), values float32 (k, N)."""

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """Directions · Xᵀ: (k, N)."""

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Values · X: (k, D)."""

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both in one pass: u = directions · Xᵀ + bias (k, 1), and (weights ∘ u) · X."""


@dataclass(frozen=True)
class Part:
    """What a group of rows gives.

    Attributes:
        forward: float32 (k, rows); None where only sums are asked for.
        sums: of the rows, as tiles, float32 (tiles, k, width); None where none are asked for.
    """

    forward: np.ndarray | None
    sums: np.ndarray | None


Work = Callable[[slice], Part]  # on a group of rows


class ByGroups(ABC):
    """Products that are put together from groups of rows, always in the same order, whoever computes them."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """shape: N and D."""
        self._count, self._dimension = shape

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """See Products."""
        return self._joined("forward", len(directions), directions)[0]

    def backward(self, values: np.ndarray) -> np.ndarray:
        """See Products."""
        return self._joined("backward", len(values), values)[1]

    def normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Products; each vector is decoded once."""
        return self._joined("normal", len(directions), directions, weights, bias)

    @abstractmethod
    def parts(self, what: str, groups: list[slice], arrays: Sequence[np.ndarray]) -> Iterator[Part]:
        """One of the three products, group by group.

        Args:
            what: forward, backward or normal.
            groups: of rows.
            arrays: what the method of that name takes.
        """

    def _groups(self) -> list[slice]:
        size = max(-(-self._count // GROUPS), GROUP_ROWS)
        return slices(self._count, -(-size // ROWS) * ROWS)

    def _joined(self, what: str, k: int, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tiles = Tiles.of(self._dimension, k)
        forward = np.empty((0 if what == "backward" else k, self._count), np.float32)
        sums = tiles.zeros(0 if what == "forward" else k)
        groups = self._groups()
        for group, part in zip(groups, self.parts(what, groups, arrays), strict=True):
            if part.forward is not None:
                forward[:, group] = part.forward
            if part.sums is not None:
                sums += part.sums
        return forward, tiles.unstack(sums)


class CpuProducts(ByGroups):
    """On CPUs: a thread decodes some rows tile by tile, and multiplies while they lie in its cache."""

    def __init__(self, vectors: Vectors, scaling: Scaling, workers: int) -> None:
        super().__init__(vectors.shape)
        self._vectors, self._scaling, self._workers = vectors, scaling, workers

    def parts(self, what: str, groups: list[slice], arrays: Sequence[np.ndarray]) -> Iterator[Part]:
        """See ByGroups; so many threads work as there is memory for their sums."""
        work: Work = getattr(self, f"_{what}")(*arrays)
        room = max(1, SUMS_BYTES // (8 * len(arrays[0]) * self._dimension))
        with one_blas_thread():
            yield from threads(work, groups, min(self._workers, room), ahead=1)

    def _forward(self, directions: np.ndarray) -> Work:
        tiles = Tiles.of(self._dimension, len(directions))
        stacked, scale = tiles.stack(directions), np.float32(self._scaling.scale)

        def work(group: slice) -> Part:
            buffer, out = tiles.buffer(), np.empty((len(directions), group.stop - group.start), np.float32)
            for rows in self._rows(group, tiles.rows):
                out[:, _from(group, rows)] = _multiply(stacked, self._decode(rows, tiles, buffer)) * scale
            return Part(out, None)

        return work

    def _backward(self, values: np.ndarray) -> Work:
        tiles, k = Tiles.of(self._dimension, len(values)), len(values)
        scale = np.float32(self._scaling.scale)

        def work(group: slice) -> Part:
            buffer, sums, part = tiles.buffer(), tiles.zeros(k), tiles.zeros(k)
            for rows in self._rows(group, tiles.rows):
                sums += np.matmul(values[:, rows] * scale, self._decode(rows, tiles, buffer), out=part)
            return Part(None, sums)

        return work

    def _normal(self, directions: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> Work:
        tiles, k = Tiles.of(self._dimension, len(directions)), len(directions)
        stacked, scale = tiles.stack(directions), np.float32(self._scaling.scale)

        def work(group: slice) -> Part:
            buffer, sums, part = tiles.buffer(), tiles.zeros(k), tiles.zeros(k)
            out = np.empty((k, group.stop - group.start), np.float32)
            for rows in self._rows(group, tiles.rows):
                decoded = self._decode(rows, tiles, buffer)
                found = _multiply(stacked, decoded) * scale + bias
                out[:, _from(group, rows)] = found
                found *= scale * weights[:, rows]
                sums += np.matmul(found, decoded, out=part)
            return Part(out, sums)

        return work

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
        out = self.zeros(len(rows))
        for tile, columns in zip(out, slices(self.dimension, self.width), strict=True):
            tile[:, : columns.stop - columns.start] = rows[:, columns]
        return out

    def unstack(self, stacked: np.ndarray) -> np.ndarray:
        """Back to (k, D)."""
        rows = stacked.swapaxes(0, 1).reshape(stacked.shape[1], self.count * self.width)
        return np.ascontiguousarray(rows[:, : self.dimension])

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


def _from(group: slice, rows: slice) -> slice:
    """The rows, counted from the group's first."""
    return slice(rows.start - group.start, rows.stop - group.start)


def _multiply(stacked: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Directions (tiles, k, width) · decoded rows (tiles, rows, width): (k, rows)."""
    products_of_tiles = np.matmul(stacked, decoded.transpose(0, 2, 1))
    found: np.ndarray = products_of_tiles.sum(axis=0)
    return found


def _within(group: slice, size: int) -> list[slice]:
    return [slice(start, min(start + size, group.stop)) for start in range(group.start, group.stop, size)]
