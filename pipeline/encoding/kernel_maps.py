"""Explicit maps: a linear SVM on φ(x) is a kernel SVM on x (Vedaldi & Zisserman, PAMI 2012)."""

from __future__ import annotations

import numpy as np

INTERVAL = 0.5  # between the frequencies at which χ²'s spectrum is sampled: 0 and this one


def explicit_map(histograms: np.ndarray, kernel: str) -> np.ndarray:
    """Map non-negative histograms.

    Args:
        histograms: float32 (N, D), each row with sum 1 (or 0).
        kernel: "none" (linear), "hellinger" (square root: Bhattacharyya's kernel, exact) or "chi2" (additive χ²,
            sampled at three frequencies: 3·D numbers).

    Returns:
        float32 (N, D), or (N, 3·D) for "chi2".
    """
    if kernel == "none":
        return histograms
    if kernel == "hellinger":
        return np.sqrt(histograms)
    if kernel == "chi2":
        return _additive_chi2(histograms)
    raise ValueError(f"no kernel {kernel!r}")


def _additive_chi2(histograms: np.ndarray) -> np.ndarray:
    """Two samples of the spectrum (section 4 there).

    The bits are those of scikit-learn's AdditiveChi2Sampler(sample_steps=2), which takes seconds to import.
    """
    held = histograms != 0
    values = histograms[held]
    out = np.zeros((3, *histograms.shape), np.float32)
    out[0][held] = np.sqrt(values * INTERVAL)
    weights = np.sqrt(2 * values * INTERVAL / np.cosh(np.pi * INTERVAL))
    angles = INTERVAL * np.log(values)
    out[1][held] = weights * np.cos(angles)
    out[2][held] = weights * np.sin(angles)
    return np.concatenate(list(out), axis=1)
