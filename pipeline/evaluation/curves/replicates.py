"""The bootstrap: the same errors as they might have been with other seeds and other test images.

Test images are drawn anew with replacement. Seeds are far fewer, so each one's deviation from their mean is multiplied
by a normal number (a wild bootstrap: Liu, Annals of Statistics 1988), which gives the mean its variance without being
bound to the few values that were seen. Both are the same for all methods, since these share both: all fits of one seed
learn from the same images (Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021, on
which sources of luck to vary).

A few seeds say little about how much luck there is: three give a variance that may be off by a factor of two. So the
variance is joined from the size itself and from all sizes of the method, in proportion to the error, and the deviation
is widened by Student's t for as many degrees of freedom as that has. A size with one seed takes its luck from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pipeline.evaluation.curves.measured import MethodCurve
from pipeline.randomness import generator

COUNT = 2000
PRIOR = 4  # degrees of freedom that a method's other sizes count at a size
NORMAL = 1.959964  # Student's t for endless degrees of freedom, at 97.5 %
CHUNK = 200  # replicates whose weights of test images are held at once


@dataclass(frozen=True)
class Replicates:
    """Errors of each method at each of its sizes, 0-1.

    Attributes:
        test: by method and size, float64 (B,).
        val: likewise on val, from the same draws of seeds.
        seeded: whether any size of any method has more than one seed; else only test images were drawn.
    """

    test: dict[tuple[str, int], np.ndarray]
    val: dict[tuple[str, int], np.ndarray]
    seeded: bool


def draw(curves: Sequence[MethodCurve], count: int = COUNT, seed: int = 0) -> Replicates:
    """So many replicates.

    Args:
        seed: of the draws.
    """
    cells = [(curve.key, size) for curve in curves for size in curve.at]
    at = {(curve.key, size): found for curve in curves for size, found in curve.at.items()}
    by_image = _image_deviations(np.stack([at[cell].wrong.mean(axis=0) for cell in cells]), count, seed)
    luck = {curve.key: Luck.of([cell.errors for cell in curve.at.values()]) for curve in curves}
    val_luck = {curve.key: Luck.of([cell.val_errors for cell in curve.at.values()]) for curve in curves}
    test, val = {}, {}
    smallest = 0.5 / next(iter(at.values())).wrong.shape[1]  # half a test image: a curve has no error of 0
    for number, (key, size) in enumerate(cells):
        cell = at[key, size]
        by_seed = _multipliers(cell.seeds, size, count, seed)
        random = generator(seed, f"luck of {key} at {size}")
        test[key, size] = np.clip(
            cell.errors.mean() + _seed_deviations(cell.errors, by_seed, luck[key], random) + by_image[number],
            smallest,
            1,
        )
        errors = cell.val_errors
        val[key, size] = errors.mean() + _seed_deviations(errors, by_seed, val_luck[key], random)
    seeded = any(len(cell.points) > 1 for cell in at.values())
    return Replicates(test, val, seeded)


def _image_deviations(wrong: np.ndarray, count: int, seed: int) -> np.ndarray:
    """How far each cell's error moves as test images are drawn anew, float64 (cells, count).

    Args:
        wrong: float32 (cells, N), mean over seeds.
    """
    random, images = generator(seed, "test images"), wrong.shape[1]
    mean = wrong.mean(axis=1, dtype=np.float64)[:, None]
    parts = []
    for start in range(0, count, CHUNK):
        drawn = random.integers(0, images, (min(CHUNK, count - start), images))
        weights = np.stack([np.bincount(row, minlength=images) for row in drawn]).astype(np.float32)
        parts.append(wrong @ weights.T / np.float32(images))
    return np.asarray(np.concatenate(parts, axis=1) - mean)


def _multipliers(seeds: tuple[int, ...], size: int, count: int, seed: int) -> np.ndarray:
    """Of each seed's deviation, float64 (count, seeds): the same for methods with the same seeds."""
    return generator(seed, f"seeds {seeds} at {size}").standard_normal((count, len(seeds)))


@dataclass(frozen=True)
class Luck:
    """How much seeds of one method differ.

    Attributes:
        relative: standard deviation in units of the error, over all sizes; 0 where each has one seed.
        freedom: degrees of freedom of that.
    """

    relative: float
    freedom: int

    @staticmethod
    def of(errors: Sequence[np.ndarray]) -> Luck:
        """From the errors of each size, float (seeds,)."""
        several = [one for one in errors if len(one) > 1]
        if not several:
            return Luck(0.0, 0)
        freedom = [len(one) - 1 for one in several]
        squares = [one.var(ddof=1) / max(one.mean(), 1e-9) ** 2 for one in several]
        return Luck(float(np.sqrt(np.average(squares, weights=freedom))), sum(freedom))

    def at(self, errors: np.ndarray) -> float:
        """The standard deviation between seeds at a size, in the errors' own units."""
        own, pooled = len(errors) - 1, (self.relative * errors.mean()) ** 2
        variance = errors.var(ddof=1) if own else 0.0
        widening = float(stdtrit(self.freedom, 0.975)) / NORMAL if self.freedom else 1.0
        return float(np.sqrt((PRIOR * pooled + own * variance) / (PRIOR + own))) * widening


def _seed_deviations(errors: np.ndarray, by_seed: np.ndarray, luck: Luck, random: np.random.Generator) -> np.ndarray:
    """How far the mean over seeds might be off, float64 (count,)."""
    seeds, wanted = len(errors), luck.at(errors)
    own = float(errors.std(ddof=1)) if seeds > 1 else 0.0
    if own < 0.1 * wanted or own == 0:  # too alike to stand for their luck
        return np.asarray(random.standard_normal(len(by_seed)) * wanted / np.sqrt(seeds))
    return np.asarray(by_seed @ (errors - errors.mean()) / np.sqrt(seeds * (seeds - 1)) * wanted / own)
