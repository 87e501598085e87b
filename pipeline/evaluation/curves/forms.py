"""Curves through errors at several sizes, and beyond them: e(n) = c + a·φ(n), with c, a ≥ 0 and a form φ that falls.

The power law is what learning curves are most often taken for (Hestness et al. 2017; Hoiem et al., Learning curves for
analysis of deep networks, ICML 2021); no form fits all (Viering & Loog, The shape of learning curves, PAMI 2023). So
others stand beside it, after Mahmood et al. (How much more data do I need?, CVPR 2022): what they disagree about, the
data do not say. Fitted by weighted least squares, each size's weight the inverse of its variance (Hoiem's σ0² + σ²/n).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

FEWEST = 3  # sizes that a form with three parameters needs
POWER = "power law"
Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Each form with its shapes: φ of sizes (K,) for shapes (S, 1), float64 (S, K). `log` falls below 0, and is cut there.
FORMS: dict[str, tuple[Shape, Callable[[float, float], np.ndarray]]] = {
    POWER: (lambda n, b: n**-b, lambda low, high: np.geomspace(0.02, 2, 100)),
    "arctan": (lambda n, b: 1 - 2 / np.pi * np.arctan(n / b), lambda low, high: np.geomspace(low / 10, high * 10, 60)),
    "algebraic": (lambda n, b: 1 / np.sqrt(1 + (n / b) ** 2), lambda low, high: np.geomspace(low / 10, high * 10, 60)),
    "logarithm": (lambda n, b: np.log(b / n), lambda low, high: np.array([1000 * high])),
}


def extrapolate(form: str, sizes: np.ndarray, errors: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit a form to each row of errors, and give its values.

    Args:
        form: a key of FORMS.
        sizes: (K,), K ≥ 3.
        errors: (B, K), 0-1.
        weights: (K,).
        at: (Q,), sizes.

    Returns:
        float64 (B, Q), 0-1.
    """
    shape, shapes = FORMS[form]
    grid = shapes(float(sizes[0]), float(sizes[-1]))[:, None]
    phi, beyond = shape(sizes.astype(float), grid), shape(at.astype(float), grid)  # (S, K), (S, Q)
    c, a, loss = _least_squares(phi, errors, weights)
    best = loss.argmin(axis=1)
    rows = np.arange(len(errors))
    found = c[rows, best][:, None] + a[rows, best][:, None] * beyond[best]
    return np.asarray(np.clip(found, 0, 1))


def _least_squares(phi: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """The best c, a ≥ 0 of each row and shape, and the loss: (B, S) each."""
    w = weights / weights.sum()
    mean_phi, mean_e = phi @ w, errors @ w  # (S,), (B,)
    centred = phi - mean_phi[:, None]
    variance = np.maximum((centred**2) @ w, 1e-300)
    a = (errors * w) @ centred.T / variance  # (B, S)
    c = mean_e[:, None] - a * mean_phi
    through_zero = (errors * w) @ phi.T / np.maximum((phi**2) @ w, 1e-300)
    a = np.where(c < 0, through_zero, a)
    flat = a < 0
    a = np.where(flat, 0, a)
    c = np.where(flat, mean_e[:, None], np.maximum(mean_e[:, None] - a * mean_phi, 0))
    residuals = errors[:, None, :] - c[:, :, None] - a[:, :, None] * phi[None]
    return c, a, (residuals**2) @ w


def weights_of(sizes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Inverse variances after Hoiem's model σ0² + σ²/n, fitted to what was measured: (K,)."""
    model = np.stack([np.ones(len(sizes)), 1 / sizes], axis=1)
    scale = max(float(variances.mean()), 1e-12)
    found, _ = nnls(model * [[1, sizes[0]]], variances / scale)
    fitted = model * [[1, sizes[0]]] @ found * scale
    return np.asarray(1 / np.maximum(fitted, 0.1 * scale))
