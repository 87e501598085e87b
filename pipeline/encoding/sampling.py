"""Local descriptors of train for a codebook: a sample over many images, never all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.context import Context
from pipeline.descriptors import grid
from pipeline.descriptors.dense import DenseSettings
from pipeline.descriptors.dense_sift import Norm, dense_sift
from pipeline.passes import Arrays, Pass, Work, joined
from pipeline.randomness import generator

if TYPE_CHECKING:
    import torch

IMAGES = 16  # a thread describes at once
GROUP = 8  # times so many images are handed out together
PRODUCTS = 1 << 14  # multiplications for each descriptor of an image, about
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

    def describe_there(batch: torch.Tensor) -> torch.Tensor:
        from pipeline.descriptors.dense_sift_torch import dense_sift_torch  # PyTorch takes seconds to import

        return dense_sift_torch(batch, bin_sizes, step, "flat", norm)[0]

    return sample_descriptors(images, describe, places, sample, context, key, describe_there)[0]


def sample_descriptors(
    images: np.ndarray,
    describe: Callable[[np.ndarray], np.ndarray],
    places: np.ndarray,
    sample: int,
    context: Context,
    key: str,
    describe_there: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Random descriptors of random images.

    Args:
        images: uint8 (N, H, W, 3), train.
        describe: images → float32 (n, F, D). It may be sent to other machines.
        places: float32 (F, 2), where each of an image's descriptors lies.
        sample: how many in all; fewer where train has fewer.
        context: seed, passes; `advance` counts to N in all.
        key: of the method, part of the seed.
        describe_there: as `describe`, for tensors on a GPU; None: there is no such version.

    Returns:
        descriptors float32 (M, D) and their places float32 (M, 2).
    """
    count, frames = len(images), len(places)
    wanted = min(sample, count * frames)
    chosen = min(count, max(1, -(-wanted // min(FROM_EACH, frames))))
    each = -(-wanted // chosen)
    rows = np.sort(generator(context.seed, f"{key} images").permutation(count)[:chosen])

    choice: dict[str, Any] = {"seed": context.seed, "key": key, "each": each}
    describing = partial(_describing, describe=describe, **choice)
    there = None if describe_there is None else partial(_describing_there, describe=describe_there, **choice)
    arrays = {"images": images, "rows": rows, "places": places}
    products = float(PRODUCTS) * chosen * frames
    done = 0

    def advance(described: int) -> None:
        nonlocal done
        context.advance(count * (done + described) // chosen - count * done // chosen)
        done += described

    one = Pass(describing, arrays, chosen, IMAGES, GROUP, joined, products, there)
    descriptors, where = context.passes.run(one, advance)
    return descriptors[:wanted], where[:wanted]


def _describing(
    images: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    describe: Callable[[np.ndarray], np.ndarray],
    seed: int,
    key: str,
    each: int,
) -> Work:
    def work(part: slice) -> Arrays:
        found = describe(images[rows[part]])
        chosen = picks(rows[part], len(places), each, seed, key)
        return np.concatenate([d[pick] for d, pick in zip(found, chosen, strict=True)]), places[np.concatenate(chosen)]

    return work


def _describing_there(**given: Any) -> Work:
    from pipeline.encoding.passes_torch import describing  # PyTorch takes seconds to import

    return describing(**given)


def picks(rows: np.ndarray, frames: int, each: int, seed: int, key: str) -> list[np.ndarray]:
    """Which of the descriptors of some images are in the sample."""
    return [np.sort(generator(seed, f"{key} descriptors of {row}").permutation(frames)[:each]) for row in rows]
