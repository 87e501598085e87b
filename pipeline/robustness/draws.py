"""Random numbers for many pixels at once: sixteen bits for each, looked up in tables of what they stand for.

A table of 65,536 quantiles is the distribution but for what is rarer than one in 65,536: normal numbers end at 4.3
deviations. Pixels have 256 levels, which is coarser.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats

LEVELS = 1 << 16
GUIDES = 256  # a count is looked for from where the eight highest bits say


def sixteen_bits(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Evenly from 0 to 65,535, uint16."""
    count = int(np.prod(shape))
    return random.bit_generator.random_raw((count + 3) // 4).view(np.uint16)[:count].reshape(shape)


@lru_cache(maxsize=16)
def normal_steps(deviation: float) -> np.ndarray:
    """Normal numbers of a deviation, rounded, by sixteen bits; int16 (65536,)."""
    quantiles = stats.norm.ppf((np.arange(LEVELS) + 0.5) / LEVELS)
    return np.asarray(np.rint(deviation * quantiles), np.int16)


@lru_cache(maxsize=16)
def poisson_tables(photons: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts of photons for each of 256 levels, which expect from none to `photons` of them.

    Returns:
        limits: uint32 (256, K), below which of sixteen bits a count is k or less.
        guides: uint16 (256, 256), the least count that the eight highest bits allow.
    """
    expected = np.arange(256) / 255 * photons
    most = int(stats.poisson.ppf(1 - 0.5 / LEVELS, photons)) + 1
    shares = stats.poisson.cdf(np.arange(most + 1)[None, :], expected[:, None])
    limits = np.minimum(np.rint(shares * LEVELS), LEVELS).astype(np.uint32)
    limits[:, -1] = LEVELS
    starts = np.arange(GUIDES) * (LEVELS // GUIDES)
    guides = np.stack([np.searchsorted(own, starts, side="right") for own in limits])
    return limits, guides.astype(np.uint16)
