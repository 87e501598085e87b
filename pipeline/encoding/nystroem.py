"""Nyström's map: a linear SVM on it is an SVM with a Gaussian kernel, as far as some landmarks can tell.

Williams & Seeger, "Using the Nyström method to speed up kernel machines", NIPS 2000: with the kernel K between m
landmarks and k(x) between x and them, φ(x) = R^T k(x) with R R^T = K^(-1) has φ(x)·φ(y) ≈ k(x, y), with equality at
landmarks. Any such R gives the same products; Cholesky's costs seconds where the symmetric one takes many minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch  # takes seconds to import; HOG without a Gaussian kernel does without

CHUNK = 2048  # vectors at once
RIDGE = 1e-6  # added to the kernel, as a share of its largest eigenvalue: what lies below is rounding


def fit_nystroem(landmarks: np.ndarray, width: float) -> dict[str, np.ndarray]:
    """What the map needs to know.

    Args:
        landmarks: float32 (m, D), at least two that differ.
        width: of the kernel exp(-d² / (width² · M)), where M is the median squared distance between landmarks.

    Returns:
        landmarks; root: float32 (m, m), R; gamma: float64 (), 1 / (width² · M).
    """
    import torch

    points = torch.from_numpy(np.ascontiguousarray(landmarks, np.float32))
    distances = _squared_distances(points, points)
    apart = distances[~torch.eye(len(points), dtype=torch.bool)]
    median = float(apart.median()) or float(apart.mean()) or 1.0
    gamma = 1 / (width**2 * median)
    kernel = torch.exp(-gamma * distances).double()
    largest = float(kernel.sum()) / len(points)  # Rayleigh's quotient of equal weights: nearly their eigenvector
    kernel.diagonal().add_(RIDGE * largest)
    lower = torch.linalg.cholesky(kernel)
    root = torch.linalg.solve_triangular(lower, torch.eye(len(points), dtype=torch.float64), upper=False).T
    return {"landmarks": points.numpy(), "root": root.float().contiguous().numpy(), "gamma": np.array(gamma)}


def nystroem(vectors: np.ndarray, codebook: dict[str, np.ndarray]) -> np.ndarray:
    """φ of vectors, float32 (N, D) → float32 (N, m)."""
    import torch

    landmarks, root = (torch.from_numpy(codebook[name]) for name in ("landmarks", "root"))
    gamma = float(codebook["gamma"])
    out = np.empty((len(vectors), len(root)), np.float32)
    for start in range(0, len(vectors), CHUNK):
        x = torch.from_numpy(np.ascontiguousarray(vectors[start : start + CHUNK], np.float32))
        out[start : start + CHUNK] = (torch.exp(-gamma * _squared_distances(x, landmarks)) @ root).numpy()
    return out


def _squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    products = x @ y.T
    squares = (x * x).sum(dim=1)[:, None] + (y * y).sum(dim=1)[None, :]
    return (squares - 2 * products).clamp_min(0)
