"""Fisher vectors and their product codes on whatever device torch is given, for GPUs: the same numbers as fisher.py.

Here the responsibilities are dense: sums over descriptors are then two batched matrix products, which is what a GPU is
made for, whereas the sparse sums of the CPU version wait for memory.
"""

from __future__ import annotations

import numpy as np
import torch

from pipeline.encoding.gmm import SMALLEST_SHARE, Mixture
from pipeline.encoding.regions import Regions

GROUPS_AT_ONCE = 4096  # of a code


class FisherEncoderTorch:
    """Encodes batches of images whose descriptors lie at the same places; see fisher.FisherEncoder."""

    def __init__(self, mixture: Mixture, regions: Regions, places: np.ndarray, device: torch.device) -> None:
        """Prepare; the arguments are FisherEncoder's."""
        linear, constant = mixture.quadratic()
        self._linear = torch.from_numpy(np.ascontiguousarray(linear.T)).to(device)
        self._constant = torch.from_numpy(constant).to(device)
        self._means = torch.from_numpy(mixture.means).to(device)
        self._precisions = torch.from_numpy(1 / np.sqrt(mixture.variances)).to(device)
        self._weights = torch.from_numpy(mixture.weights).to(device)
        cells = regions.cells(places)
        self._cells = [
            torch.from_numpy(np.flatnonzero(cells == cell)).to(device) for cell in range(regions.members.shape[1])
        ]
        self._members = [np.flatnonzero(members).tolist() for members in regions.members]

    def encode(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Improved Fisher vectors of some images: float32 (n, T, D) → (n, R · 2 · K · D)."""
        features = torch.cat([descriptors, descriptors**2], dim=2)
        responsibilities = self._responsibilities(features)
        sums = []
        for cell in self._cells:
            some = responsibilities[:, cell]
            sums.append((some.sum(dim=1), some.transpose(1, 2) @ features[:, cell]))
        regions = []
        for members in self._members:
            mass, moments = (torch.stack(arrays).sum(dim=0) for arrays in zip(*(sums[m] for m in members), strict=True))
            count = sum(len(self._cells[member]) for member in members)
            regions.append(_power_and_norm(self._gradients(mass, moments, max(count, 1))))
        return torch.nn.functional.normalize(torch.cat(regions, dim=1), dim=1, eps=1e-15)

    def _responsibilities(self, features: torch.Tensor) -> torch.Tensor:
        """Float32 (n, T, K); those below a millionth of the largest are left out, as on the CPU."""
        logits = features @ self._linear + self._constant
        logits -= logits.amax(dim=2, keepdim=True)
        shares = logits.exp_()
        shares *= shares >= SMALLEST_SHARE
        return shares / shares.sum(dim=2, keepdim=True)

    def _gradients(self, mass: torch.Tensor, moments: torch.Tensor, count: int) -> torch.Tensor:
        """G_μ and G_σ of fisher.py from sums: (n, K) and (n, K, 2·D) → (n, 2 · K · D)."""
        dimensions = self._means.shape[1]
        by_x, by_square = moments[..., :dimensions], moments[..., dimensions:]
        total = mass[..., None]
        by_mean = 1 / (count * self._weights.sqrt())[:, None]
        first = by_mean * (by_x - self._means * total) * self._precisions
        second = by_square - self._means * (2 * by_x - self._means * total)
        second = by_mean / 2**0.5 * (second * self._precisions**2 - total)
        return torch.cat([first.flatten(1), second.flatten(1)], dim=1)


def _power_and_norm(vectors: torch.Tensor) -> torch.Tensor:
    """Signed square root, then L2 norm; the squares of the roots sum to Σ|v|."""
    lengths = vectors.abs().sum(dim=1, keepdim=True).clamp(min=1e-30)
    return vectors.sign() * (vectors.abs() / lengths).sqrt()


def encode_codes(x: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Product codes; see ProductQuantizer.encode.

    Args:
        x: float32 (n, D).
        centroids: float32 (D / G, 256, G), on the same device.

    Returns:
        uint8 (n, D / G).
    """
    groups, _, width = centroids.shape
    parts = x.reshape(len(x), groups, width).transpose(0, 1)
    codes = []
    for start in range(0, groups, GROUPS_AT_ONCE):
        some = centroids[start : start + GROUPS_AT_ONCE]
        closeness = parts[start : start + GROUPS_AT_ONCE] @ some.transpose(1, 2) - 0.5 * (some**2).sum(dim=2)[:, None]
        codes.append(closeness.argmax(dim=2).to(torch.uint8))
    return torch.cat(codes).T
