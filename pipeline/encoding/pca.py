"""Principal components of local descriptors, with or without whitening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.parallel import slices

CHUNK = 65_536
SMALLEST_VARIANCE = 1e-12  # of a direction to be whitened; descriptors are of the order of 1


@dataclass(frozen=True)
class Pca:
    """A projection x ↦ (x − mean) · basis.

    Attributes:
        mean: float32 (D,).
        basis: float32 (D, d), columns are directions, divided by their deviations when whitening.
        variances: float32 (d,), along each direction, largest first.
    """

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray

    def project(self, x: np.ndarray) -> np.ndarray:
        """Float32 (N, D) → float32 (N, d)."""
        return np.asarray(x @ self.basis - self._shift)

    @property
    def _shift(self) -> np.ndarray:
        return np.asarray(self.mean @ self.basis)


def fit_pca(x: np.ndarray, dimensions: int, whiten: bool = False) -> Pca:
    """Eigenvectors of the covariance of float32 (N, D), signs such that each one's largest entry is positive.

    Sums run in float64 over chunks of fixed size, so memory stays flat and the result the same on any machine size.
    """
    total = np.zeros(x.shape[1])
    products = np.zeros((x.shape[1], x.shape[1]))
    for part in slices(len(x), CHUNK):
        chunk = np.asarray(x[part], np.float32)
        total += chunk.sum(axis=0, dtype=np.float64)
        products += chunk.T @ chunk
    mean = total / len(x)
    covariance = products / len(x) - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1][:dimensions], 0), vectors[:, ::-1][:, :dimensions]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    vectors = vectors * np.where(largest < 0, -1, 1)
    if whiten:
        vectors = vectors / np.sqrt(np.maximum(values, max(1e-12 * values[0], SMALLEST_VARIANCE)))
    return Pca(mean.astype(np.float32), np.ascontiguousarray(vectors, np.float32), values.astype(np.float32))
