"""Vectors of locally aggregated descriptors (Jégou, Douze, Schmid & Pérez, CVPR 2010).

Each descriptor leaves its difference to the nearest centre there. As improved since: signed square roots, and
each centre's part brought to the same length (intra-normalisation: Arandjelović & Zisserman, CVPR 2013).
"""

from __future__ import annotations

import numpy as np

from pipeline.compiled import compiled
from pipeline.encoding.regions import Regions


class VladEncoder:
    """Encodes images one by one; make one and use it in many threads."""

    def __init__(self, centres: np.ndarray, regions: Regions, places: np.ndarray, normalised: bool = True) -> None:
        """Prepare for images whose descriptors lie at the same places.

        Args:
            centres: float32 (K, D), of k-means.
            regions: R regions.
            places: float32 (T, 2), x and y in 0…1 of each descriptor.
            normalised: signed square root, then each centre's part and the whole to length 1.
        """
        self._centres, self._transposed = centres, np.ascontiguousarray(centres.T)
        self._half_squares = 0.5 * np.einsum("kd,kd->k", centres, centres)
        self._cells = regions.cells(places)
        self._members = regions.members.astype(np.float32)
        self._normalised = normalised

    @property
    def dimension(self) -> int:
        """Numbers an image: R · K · D."""
        return self._centres.size * len(self._members)

    def encode(self, descriptors: np.ndarray) -> np.ndarray:
        """The vector of one image: float32 (T, D) → float32 (R · K · D,), region by region, centre by centre."""
        closeness = descriptors @ self._transposed
        closeness -= self._half_squares
        sums = np.zeros((self._members.shape[1], *self._centres.shape), np.float32)
        _add_differences(descriptors, closeness.argmax(axis=1), self._cells, self._centres, sums)
        out = (self._members @ sums.reshape(len(sums), -1)).reshape(-1, self._centres.shape[1])
        if self._normalised:
            out = np.sign(out) * np.sqrt(np.abs(out))
            out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
            out /= max(float(np.linalg.norm(out)), 1e-12)
        return np.asarray(out.reshape(-1), np.float32)


@compiled()
def _add_differences(
    descriptors: np.ndarray, nearest: np.ndarray, cells: np.ndarray, centres: np.ndarray, sums: np.ndarray
) -> None:
    for t in range(len(descriptors)):
        target, centre = sums[cells[t], nearest[t]], centres[nearest[t]]
        for d in range(descriptors.shape[1]):
            target[d] += descriptors[t, d] - centre[d]
