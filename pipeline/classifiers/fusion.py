"""Late fusion: a weighted sum of several methods' scores, weights from val."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


def fit_weights(members: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Weights ≥ 0 that make softmax(Σ wₘ·sₘ) most likely: a convex problem with one number a member.

    Likelihood rather than error, because the error is a staircase: with few images in val many weights share its
    lowest step, and a search would pick one by chance.

    Args:
        members: float (N, classes) each, on val.
        labels: int (N,).

    Returns:
        float64 (members,).
    """
    stacked = np.stack(members).astype(np.float64)
    rows = np.arange(len(labels))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.tensordot(weights, stacked, axes=1)
        excess = softmax(total, axis=1)
        excess[rows, labels] -= 1
        gradient = np.tensordot(stacked, excess, axes=([1, 2], [0, 1])) / len(labels)
        return float(-log_softmax(total, axis=1)[rows, labels].mean()), gradient

    start = np.ones(len(members))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(members))
    return np.asarray(found.x)


def fuse(members: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The weighted sum, float32 (N, classes)."""
    return np.asarray(np.tensordot(weights, np.stack(members), axes=1), np.float32)
