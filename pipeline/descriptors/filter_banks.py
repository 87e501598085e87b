"""Banks of linear filters for texture: Gabor functions, and the filters of Leung & Malik (IJCV 2001)."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch.nn import functional

GABOR_ORIENTATIONS = 6
GABOR_ASPECT = 0.5  # γ: the envelope is twice as long along the stripes as across them
BANDWIDTH = 0.56  # σ / λ, one octave
LM_SUPPORT = 49  # pixels, at the published scale
LM_SIGMAS = (2**0.5, 2.0, 2 * 2**0.5)
LM_ORIENTATIONS = 6
LM_ELONGATION = 3


def gabor_kernel(
    wavelength: float, orientation: float, phase: float, sigma: float, aspect: float, side: int
) -> np.ndarray:
    """A Gabor function (Daugman 1985; Jones & Palmer 1987).

        g(x, y) = exp(−(x′² + γ² y′²) / 2σ²) cos(2π x′/λ + ψ),
        x′ = x cos θ + y sin θ,  y′ = −x sin θ + y cos θ.

    Args:
        wavelength: λ of the cosine, in pixels.
        orientation: θ of the normal to the stripes, in radians.
        phase: ψ, in radians: 0 is even, π/2 is odd.
        sigma: σ of the envelope, in pixels.
        aspect: γ; below 1 the envelope is longer along the stripes.
        side: odd number of pixels; the origin is in the middle, y points down.

    Returns:
        float64 (side, side).
    """
    y, x = _coordinates(side)
    across = x * np.cos(orientation) + y * np.sin(orientation)
    along = -x * np.sin(orientation) + y * np.cos(orientation)
    envelope = np.exp(-(across**2 + aspect**2 * along**2) / (2 * sigma**2))
    return np.asarray(envelope * np.cos(2 * np.pi * across / wavelength + phase))


def gabor_bank(wavelengths: list[float], side: int) -> np.ndarray:
    """Even and odd filters for every wavelength and orientation, each without mean and with L2 norm 1.

    Returns:
        float32 (2 · wavelengths · 6, side, side): an even filter, then its odd partner.
    """
    kernels = []
    for wavelength, turn in product(wavelengths, range(GABOR_ORIENTATIONS)):
        for phase in (0.0, np.pi / 2):
            kernel = gabor_kernel(
                wavelength, np.pi * turn / GABOR_ORIENTATIONS, phase, BANDWIDTH * wavelength, GABOR_ASPECT, side
            )
            kernel -= kernel.mean()
            kernels.append(kernel / np.sqrt((kernel**2).sum()))
    return np.array(kernels, np.float32)


def leung_malik_bank(side: int) -> np.ndarray:
    """The 48 filters of Leung & Malik, scaled to a support of `side` pixels (published: 49).

    First and second derivatives of elongated Gaussians at 3 scales and 6 orientations (36), Laplacians of Gaussians at
    8 scales, Gaussians at 4. Derivatives and Laplacians have no mean; all have L1 norm 1, as in the Oxford group's
    reference code.

    Returns:
        float32 (48, side, side), in this order: first derivatives scale by scale, second ones, Gaussians, Laplacians.
    """
    scale = side / LM_SUPPORT
    y, x = _coordinates(side)
    bars = [
        _elongated(x, y, scale * sigma, np.pi * turn / LM_ORIENTATIONS, order)
        for order in (1, 2)
        for sigma in LM_SIGMAS
        for turn in range(LM_ORIENTATIONS)
    ]
    sigmas = [scale * sigma for sigma in (*LM_SIGMAS, 4.0)]
    spots = [np.exp(-(x**2 + y**2) / (2 * sigma**2)) for sigma in sigmas]
    rings = [_laplacian(x, y, sigma) for sigma in (*sigmas, *(3 * sigma for sigma in sigmas))]
    kernels = [kernel - kernel.mean() for kernel in bars] + spots + [kernel - kernel.mean() for kernel in rings]
    return np.array([kernel / np.abs(kernel).sum() for kernel in kernels], np.float32)


def responses(grey: torch.Tensor, bank: np.ndarray, step: int) -> torch.Tensor:
    """Correlate images with every filter, edges mirrored.

    Args:
        grey: float32 (N, H, W), on any device.
        bank: float32 (F, side, side); side at most 2 · min(H, W) − 1.
        step: pixels between places, from the first on.

    Returns:
        float32 (N, F, ⌈H/step⌉, ⌈W/step⌉).
    """
    reach = bank.shape[1] // 2
    padded = functional.pad(grey[:, None], (reach, reach, reach, reach), mode="reflect")
    return functional.conv2d(padded, torch.from_numpy(bank).to(grey.device)[:, None], stride=step)


def odd(length: float) -> int:
    """The largest odd number that is not above `length`, at least 3."""
    return max(3, int(length) - (int(length) + 1) % 2)


def _coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Y and x of every pixel from the middle, each float64 (side, side)."""
    reach = side // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    return y, x


def _elongated(x: np.ndarray, y: np.ndarray, sigma: float, angle: float, order: int) -> np.ndarray:
    """A derivative across a Gaussian that is three times as long as it is wide."""
    along = x * np.cos(angle) - y * np.sin(angle)
    across = x * np.sin(angle) + y * np.cos(angle)
    profile = np.exp(-(across**2) / (2 * sigma**2))
    derivative = -across / sigma**2 if order == 1 else (across**2 - sigma**2) / sigma**4
    return np.asarray(np.exp(-(along**2) / (2 * (LM_ELONGATION * sigma) ** 2)) * profile * derivative)


def _laplacian(x: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
    square = x**2 + y**2
    return np.asarray((square - 2 * sigma**2) / sigma**4 * np.exp(-square / (2 * sigma**2)))
