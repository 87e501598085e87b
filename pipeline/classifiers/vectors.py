"""Where a classifier's feature vectors come from: arrays on disk, decoded tile by tile into float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from pipeline.encoding import half, product_quantization
from pipeline.mapped import forget
from pipeline.parallel import slices, threads

TILE = 4096  # columns decoded at once: with some dozen rows they stay in a core's cache
CHUNK = 512  # rows


class Vectors(Protocol):
    """N rows of D numbers."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""

    def tile(self, rows: slice, columns: slice, mean: np.ndarray, out: np.ndarray) -> None:
        """Decode some rows' columns, minus the mean (D,), into float32 (rows, columns); releases Python's lock."""

    def rows(self, rows: slice, device: torch.device) -> torch.Tensor:
        """Decode whole rows on a device, float32 (rows, D)."""

    def forget(self, rows: slice) -> None:
        """Give back the memory of rows that were mapped, and are in use no more for now."""

    def every(self, stride: int) -> Vectors:
        """Every so-manieth row."""

    def some(self, rows: np.ndarray) -> Vectors:
        """These rows, in memory."""


@dataclass(frozen=True)
class Dense:
    """An array in memory or memory-mapped, float16 or float32 (N, D)."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return self.array.shape[0], self.array.shape[1]

    def tile(self, rows: slice, columns: slice, mean: np.ndarray, out: np.ndarray) -> None:
        """Decode part of the array."""
        if self.array.dtype == np.float16:
            half.decode_part(self.array.view(np.uint16), rows.start, columns.start, mean, out)
        else:
            np.subtract(self.array[rows, columns], mean[columns], out=out)

    def rows(self, rows: slice, device: torch.device) -> torch.Tensor:
        """Move rows to the device, and convert there."""
        return torch.from_numpy(np.array(self.array[rows])).to(device).float()

    def forget(self, rows: slice) -> None:
        """See Vectors."""
        forget(self.array, rows)

    def every(self, stride: int) -> Dense:
        """A view."""
        return Dense(self.array[::stride])

    def some(self, rows: np.ndarray) -> Dense:
        """A copy."""
        return Dense(self.array[rows])


class Coded:
    """Product codes and what they stand for."""

    def __init__(self, codes: np.ndarray, centroids: np.ndarray) -> None:
        """Take codes uint8 (N, D / G), in memory or mapped, and centroids float32 (D / G, 256, G)."""
        self.codes, self.centroids = codes, centroids
        self._there: dict[torch.device, torch.Tensor] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return len(self.codes), self.centroids.shape[0] * self.centroids.shape[2]

    def tile(self, rows: slice, columns: slice, mean: np.ndarray, out: np.ndarray) -> None:
        """Look up part of the array; TILE is a multiple of every G."""
        product_quantization.decode_part(self.codes, self.centroids, rows.start, columns.start, mean, out)

    def rows(self, rows: slice, device: torch.device) -> torch.Tensor:
        """Move codes to the device, and look up there."""
        codes = torch.from_numpy(np.array(self.codes[rows])).to(device).long()
        if device not in self._there:
            self._there[device] = torch.from_numpy(self.centroids).to(device)
        groups = torch.arange(len(self.centroids), device=device)
        return self._there[device][groups, codes].reshape(len(codes), -1)

    def forget(self, rows: slice) -> None:
        """See Vectors."""
        forget(self.codes, rows)

    def every(self, stride: int) -> Coded:
        """A view."""
        return Coded(self.codes[::stride], self.centroids)

    def some(self, rows: np.ndarray) -> Coded:
        """A copy."""
        return Coded(self.codes[rows], self.centroids)


@dataclass(frozen=True)
class Joined:
    """The rows of one after those of another."""

    first: Vectors
    second: Vectors

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return self.first.shape[0] + self.second.shape[0], self.first.shape[1]

    def tile(self, rows: slice, columns: slice, mean: np.ndarray, out: np.ndarray) -> None:
        """See Vectors."""
        for part, own, place in self._parts(rows):
            part.tile(own, columns, mean, out[place])

    def rows(self, rows: slice, device: torch.device) -> torch.Tensor:
        """See Vectors."""
        return torch.cat([part.rows(own, device) for part, own, _ in self._parts(rows)])

    def forget(self, rows: slice) -> None:
        """See Vectors."""
        for part, own, _ in self._parts(rows):
            part.forget(own)

    def every(self, stride: int) -> Vectors:
        """In memory."""
        return self.some(np.arange(0, self.shape[0], stride))

    def some(self, rows: np.ndarray) -> Joined:
        """Rows in rising order."""
        border = self.first.shape[0]
        split = int(np.searchsorted(rows, border))
        return Joined(self.first.some(rows[:split]), self.second.some(rows[split:] - border))

    def _parts(self, rows: slice) -> Iterator[tuple[Vectors, slice, slice]]:
        """Whose rows these are: the vectors, their rows, and where those stand among the ones wanted."""
        border = self.first.shape[0]
        for part, start, end in ((self.first, 0, border), (self.second, border, self.shape[0])):
            low, high = max(rows.start, start), min(rows.stop, end)
            if low < high:
                yield part, slice(low - start, high - start), slice(low - rows.start, high - rows.start)


@dataclass(frozen=True)
class Scaling:
    """Shift to zero mean and scale to unit mean length: one number for all dimensions, so their relations stay.

    Attributes:
        mean: float32 (D,), of train.
        scale: 1 / root of the mean squared length.
    """

    mean: np.ndarray
    scale: float

    @property
    def finite(self) -> bool:
        """Whether all numbers that it was measured on are: one that is not leaves no mean of its column."""
        return bool(np.isfinite(self.mean).all())

    @staticmethod
    def of(vectors: Vectors, workers: int = 1) -> Scaling:
        """Measure it on the training vectors, in chunks of fixed size."""
        count, dimension = vectors.shape
        nothing = np.zeros(dimension, np.float32)
        mean, squares = np.zeros(dimension), np.zeros(dimension)

        def work(columns: slice) -> None:
            buffer = np.empty((CHUNK, columns.stop - columns.start), np.float32)
            for part in slices(count, CHUNK):
                out = buffer[: part.stop - part.start]
                vectors.tile(part, columns, nothing, out)
                with np.errstate(invalid="ignore", over="ignore"):  # `finite` tells
                    mean[columns] += out.sum(axis=0)
                    squares[columns] += np.einsum("nd,nd->d", out, out)
                vectors.forget(part)

        list(threads(work, slices(dimension, TILE), workers))
        mean /= count
        with np.errstate(invalid="ignore"):
            spread = float(squares.sum()) / count - float(mean @ mean)
        return Scaling(mean.astype(np.float32), float(1 / np.sqrt(max(spread, 1e-12))))


def open_vectors(path: Path, codebook: Mapping[str, np.ndarray]) -> Vectors:
    """Map feature vectors on disk: numbers, or bytes that are codes of the codebook's centroids.

    Raises:
        OSError, ValueError, EOFError: the file is missing or damaged.
        KeyError: codes without centroids.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != np.uint8:
        return Dense(array)
    centroids = codebook["centroids"]
    if array.ndim != 2 or array.shape[1] != len(centroids):
        raise ValueError(f"codes of shape {array.shape} for {len(centroids)} groups")
    return Coded(array, centroids)


def finite(vectors: Vectors) -> bool:
    """Whether all numbers are finite; read in chunks."""
    if not isinstance(vectors, Dense):
        return True
    for part in slices(len(vectors.array), CHUNK):
        numbers = vectors.array[part]
        if numbers.dtype == np.float16:  # NumPy's isfinite takes ten times as long
            fine = not bool(((numbers.view(np.uint16) & 0x7C00) == 0x7C00).any())
        else:
            fine = bool(np.isfinite(numbers).all())
        if not fine:
            return False
        vectors.forget(part)
    return True
