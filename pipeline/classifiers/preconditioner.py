"""A preconditioner for the SVM's conjugate gradients: the strongest directions of the data, from a sketch of some rows.

Feature vectors vary along few directions far more than along all others, and conjugate gradients need many steps to
tell such curvatures apart. The randomised Nyström approximation (Frangella, Tropp & Udell, SIAM J. Matrix Anal. 2023)
finds the strongest R of them from R products; dividing their curvature out halves the number of passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.classifiers.products import products
from pipeline.classifiers.vectors import Scaling, Vectors
from pipeline.randomness import generator

RANK = 128
ROWS = 8192  # enough for the strongest directions
TINY = 1e-6  # of the sketch's trace: what keeps its Cholesky factors real


@dataclass(frozen=True)
class Preconditioner:
    """Approximates (I + ρ Xᵀ X / N)⁻¹ for any ρ; only its shape matters, so the weakest direction is left as it is.

    Attributes:
        directions: float32 (R, D), orthonormal.
        strengths: float64 (R,), eigenvalues of Xᵀ X / N along them, falling.
    """

    directions: np.ndarray
    strengths: np.ndarray

    def apply(self, gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """Precondition the weights and bias of each class.

        The bias sees every sample with a 1, so its curvature dwarfs that of other directions.

        Args:
            gradient: float64 (k, D + 1).
            curvature: float64 (k,), of the loss, summed over the samples.
        """
        total = curvature[:, None]
        relative = (1 + total * self.strengths[-1]) / (1 + total * self.strengths)
        along = gradient[:, :-1].astype(np.float32) @ self.directions.T
        out = np.array(gradient)
        out[:, :-1] += (along * (relative - 1).astype(np.float32)) @ self.directions
        out[:, -1:] *= (1 + total * self.strengths[-1]) / (1 + total)
        return out


def fit_preconditioner(vectors: Vectors, scaling: Scaling, device: torch.device, workers: int) -> Preconditioner:
    """Sketch every so-manieth row twice: a second look along what the first found sharpens the weaker directions."""
    some = vectors.every(max(1, vectors.shape[0] // ROWS))
    count, dimension = some.shape
    rank = max(1, min(RANK, dimension // 2, count // 2))
    multiply = products(some, scaling, device, workers).normal
    ones, nothing = np.ones((rank, count), np.float32), np.zeros((rank, 1), np.float32)
    start = generator(0, "preconditioner").standard_normal((rank, dimension), dtype=np.float32)
    basis = _orthonormal(multiply(_orthonormal(start), ones, nothing)[1])
    image = multiply(basis, ones, nothing)[1].astype(np.float64) / count
    core = image @ basis.T
    core = (core + core.T) / 2 + max(TINY * np.trace(core), 1e-12) * np.eye(rank)
    factor = np.linalg.solve(np.linalg.cholesky(core), image)
    squares, rotation = np.linalg.eigh(factor @ factor.T)
    squares, rotation = np.maximum(squares[::-1], 1e-30), rotation[:, ::-1]
    directions = (rotation.T @ factor) / np.sqrt(squares)[:, None]
    return Preconditioner(directions.astype(np.float32), squares)


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.linalg.qr(rows.T)[0].T, np.float32)
