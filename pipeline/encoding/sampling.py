"""Local descriptors of train for a codebook: a sample over many images, never all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.context import Context
from pipeline.descriptors import grid
from pipeline.descriptors.dense import DenseSettings
from pipeline.descriptors.dense_sift import Norm, dense_sift
from pipeline.parallel import slices, threads
from pipeline.randomness import generator

IMAGES = 16  # a thread describes at once
FROM_EACH = 100  # descriptors of an image, at most, if there are images enough


def sample_dense_sift(
    images: np.ndarray, settings: DenseSettings, norm: Norm, sample: int, context: Context, key: str
) -> np.ndarray:
    """Random SIFT descriptors of random images, flat window: float32 (M, 128); see sample_descriptors.

    Raises:
        PipelineError: a patch is larger than the image.
    """
    bin_sizes, step = settings.grid_of(images.shape, key)
    places = grid.places(*images.shape[1:3], bin_sizes, step)

    def describe(batch: np.ndarray) -> np.ndarray:
        return dense_sift(batch, bin_sizes, step, "flat", norm)[0]

    return sample_descriptors(images, describe, places, sample, context, key)[0]


def sample_descriptors(
    images: np.ndarray,
    describe: Callable[[np.ndarray], np.ndarray],
    places: np.ndarray,
    sample: int,
    context: Context,
    key: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Random descriptors of random images.

    Args:
        images: uint8 (N, H, W, 3), train.
        describe: images → float32 (n, F, D).
        places: float32 (F, 2), where each of an image's descriptors lies.
        sample: how many in all; fewer where train has fewer.
        context: seed, workers; `advance` counts to N in all.
        key: of the method, part of the seed.

    Returns:
        descriptors float32 (M, D) and their places float32 (M, 2).
    """
    count, frames = len(images), len(places)
    wanted = min(sample, count * frames)
    chosen = min(count, max(1, -(-wanted // min(FROM_EACH, frames))))
    each = -(-wanted // chosen)
    rows = np.sort(generator(context.seed, f"{key} images").permutation(count)[:chosen])

    def work(part: slice) -> tuple[np.ndarray, np.ndarray]:
        found = describe(images[rows[part]])
        picks = [
            np.sort(generator(context.seed, f"{key} descriptors of {row}").permutation(frames)[:each])
            for row in rows[part]
        ]
        return np.concatenate([d[pick] for d, pick in zip(found, picks, strict=True)]), places[np.concatenate(picks)]

    parts = []
    batches = slices(chosen, IMAGES)
    for batch, part in zip(batches, threads(work, batches, context.workers), strict=True):
        parts.append(part)
        context.advance(count * batch.stop // chosen - count * batch.start // chosen)
    descriptors, where = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return descriptors[:wanted], where[:wanted]
