"""Every random choice comes from (seed, name of the step), never from a global state."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(seed: int, step: str) -> int:
    """A 64-bit seed for one named step: steps don't disturb each other's numbers."""
    digest = hashlib.blake2b(f"{seed}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def generator(seed: int, step: str) -> np.random.Generator:
    """NumPy's generator for one named step."""
    return np.random.default_rng(seed_for(seed, step))


def uniform_hash(seed: int, draw: int, items: np.ndarray) -> np.ndarray:
    """One number in [0, 1) for each item, a pure function of (seed, draw, item).

    It needs no state, so what an item gets does not depend on which worker or batch asks.
    splitmix64 finalizer: Steele, Lea & Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014.

    Args:
        seed: any integer; only its lowest 64 bits count.
        draw: which of the item's numbers.
        items: integers, any shape.

    Returns:
        float64 array of the same shape.
    """
    mask = (1 << 64) - 1
    offset = (seed + 0x9E3779B97F4A7C15 * (draw + 1)) & mask
    z = np.asarray(items).astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + np.uint64(offset)
    for _ in range(2):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)
