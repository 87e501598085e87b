"""Explicit maps: a linear SVM on φ(x) is a kernel SVM on x (Vedaldi & Zisserman, PAMI 2012)."""

from __future__ import annotations

import numpy as np


def explicit_map(histograms: np.ndarray, kernel: str) -> np.ndarray:
    """Map non-negative histograms.

    Args:
        histograms: float32 (N, D), each row with sum 1 (or 0).
        kernel: "none" (linear), "hellinger" (square root: Bhattacharyya's kernel, exact) or "chi2" (additive χ²,
            sampled at three frequencies: 3·D numbers, scikit-learn's AdditiveChi2Sampler).

    Returns:
        float32 (N, D), or (N, 3·D) for "chi2".
    """
    if kernel == "none":
        return histograms
    if kernel == "hellinger":
        return np.sqrt(histograms)
    if kernel == "chi2":
        from sklearn.kernel_approximation import AdditiveChi2Sampler

        return np.asarray(AdditiveChi2Sampler(sample_steps=2).fit_transform(histograms), np.float32)
    raise ValueError(f"no kernel {kernel!r}")
