"""Improved Fisher vectors (Perronnin, Sánchez & Mensink, ECCV 2010; Sánchez et al., IJCV 2013, equations 16 to 18).

For T descriptors x and a mixture with weights w, means μ and deviations σ, γ being the responsibilities:

    G_μ = 1/(T √w)  Σ γ (x − μ)/σ           G_σ = 1/(T √(2w))  Σ γ ((x − μ)²/σ² − 1)

both for every component and dimension: 2·K·D numbers a region. Then the signed square root and the L2 norm.
"""

from __future__ import annotations

import numpy as np

from pipeline.compiled import compiled
from pipeline.encoding.gmm import Expectation, Mixture
from pipeline.encoding.regions import Regions


class FisherEncoder:
    """Encodes images one by one; make one and use it in many threads."""

    def __init__(self, mixture: Mixture, regions: Regions, places: np.ndarray, improved: bool = True) -> None:
        """Prepare for images whose descriptors lie at the same places.

        Args:
            mixture: fitted to descriptors of train.
            regions: R regions.
            places: float32 (T, 2), x and y in 0…1 of each descriptor.
            improved: signed square root and L2 norm, of each region and then of the whole.
        """
        cells = regions.cells(places)
        self._order = np.argsort(cells, kind="stable")
        self._bounds = np.searchsorted(cells[self._order], np.arange(regions.members.shape[1] + 1))
        self._sorted = bool((self._order == np.arange(len(cells))).all())
        self._members = regions.members
        self._expectation = Expectation(mixture)
        self._means = mixture.means
        self._precisions = 1 / np.sqrt(mixture.variances)
        self._weights = mixture.weights
        self._improved = improved

    @property
    def dimension(self) -> int:
        """Numbers an image: 2 · K · D · R."""
        return 2 * self._means.size * len(self._members)

    def encode(self, descriptors: np.ndarray) -> np.ndarray:
        """The Fisher vector of one image.

        Args:
            descriptors: float32 (T, D), in the order of the places.

        Returns:
            float32 (R · 2 · K · D,): for each region all of G_μ, component by component, then all of G_σ.
            scikit-image's order is the same behind its K derivatives by the weights, which are left out here; its
            G_σ has the opposite sign.
        """
        ordered = np.ascontiguousarray(descriptors if self._sorted else descriptors[self._order])
        sums = [self._expectation.zeros() for _ in self._bounds[1:]]
        for (mass, moments), first, past in zip(sums, self._bounds[:-1], self._bounds[1:], strict=True):
            self._expectation.add(ordered[first:past], mass, moments)
        out = np.zeros((len(self._members), 2 * self._means.size), np.float32)
        counts = np.diff(self._bounds)
        for region, members in enumerate(self._members):
            count = int(counts[members].sum())
            if count:
                parts = [sums[cell] for cell in np.flatnonzero(members)]
                mass, moments = (np.sum(arrays, axis=0) for arrays in zip(*parts, strict=True))
                _gradients(mass, moments, count, self._means, self._precisions, self._weights, out[region])
        if self._improved:
            for vector in out:
                _power_and_norm(vector)
            _normalise(out.reshape(-1))
        return out.reshape(-1)


@compiled(fastmath={"contract"})
def _gradients(
    mass: np.ndarray,
    moments: np.ndarray,
    count: int,
    means: np.ndarray,
    precisions: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """The two equations above, from sums; `precisions` are 1/σ."""
    components, dimensions = means.shape
    half = components * dimensions
    for k in range(components):
        by_mean = np.float32(1 / (count * np.sqrt(weights[k])))
        by_deviation = np.float32(1 / (count * np.sqrt(2 * weights[k])))
        total = mass[k]
        for d in range(dimensions):
            mean, precision = means[k, d], precisions[k, d]
            first = moments[k, 0, d] - mean * total
            # Σγ(x−μ)² = Σγx² − 2μΣγx + μ²Σγ
            second = moments[k, 1, d] - mean * (2 * moments[k, 0, d] - mean * total)
            out[k * dimensions + d] = by_mean * first * precision
            out[half + k * dimensions + d] = by_deviation * (second * precision * precision - total)


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _power_and_norm(vector: np.ndarray) -> None:
    """Signed square root, then L2 norm; the squares of the roots sum to Σ|v|."""
    total = np.float32(0)
    for i in range(len(vector)):
        total += abs(vector[i])
    scale = np.float32(1 / np.sqrt(max(total, np.float32(1e-30))))
    for i in range(len(vector)):
        root = np.sqrt(abs(vector[i])) * scale
        vector[i] = root if vector[i] > 0 else -root


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _normalise(vector: np.ndarray) -> None:
    total = np.float32(0)
    for i in range(len(vector)):
        total += vector[i] * vector[i]
    scale = np.float32(1 / np.sqrt(max(total, np.float32(1e-30))))
    for i in range(len(vector)):
        vector[i] *= scale
