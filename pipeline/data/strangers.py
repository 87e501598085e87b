"""Images of none of the classes, on which it is measured how often a model notices that."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.data.scaling import scale_batch
from pipeline.data.sources import open_source
from pipeline.data.sources.digits import digit_images
from pipeline.errors import PipelineError
from pipeline.randomness import generator
from pipeline.settings import Settings


@dataclass(frozen=True)
class Strangers:
    """Images of none of the classes.

    Attributes:
        name: what they are, for the report.
        images: uint8 (N, H, W, 3).
    """

    name: str
    images: np.ndarray


def strangers(shape: tuple[int, int], seed: int, count: int, dataset: str) -> list[Strangers]:
    """Noise, even grey, pieces of photographs, and handwritten digits, brought to the size (H, W) of a data set.

    Digits are left out where the data set is of digits itself. The photographs are those that scikit-image ships.
    """
    random = generator(seed, "strangers")
    noise = random.integers(0, 256, (count, *shape, 3), dtype=np.uint8)
    levels = np.linspace(0, 255, count).astype(np.uint8)
    grey = np.broadcast_to(levels[:, None, None, None], (count, *shape, 3)).copy()
    found = [
        Strangers("noise", noise),
        Strangers("even grey", grey),
        Strangers("pieces of photographs", _pieces(shape, count, random)),
    ]
    if dataset not in ("digits", "mnist"):
        found.append(Strangers("handwritten digits", _digits(shape, count)))
    return found


def strangers_of(settings: Settings, shape: tuple[int, int], count: int) -> list[Strangers]:
    """Images of the data sets that `evaluation.strangers` names, evenly drawn from their test images.

    Args:
        settings: the project's.
        shape: (H, W); where it isn't square, images stand in the middle of a black picture.
        count: images of each; all where there are fewer.

    Raises:
        PipelineError: a data set can't be had, or none of the images that were drawn can be read.
    """
    found = []
    for name in settings.evaluation.strangers:
        source = open_source(settings.with_dataset(name, min(shape)))
        part = next(source.parts[given] for given in ("test", "val", "all", "train") if given in source.parts)
        drawn = generator(settings.seed, f"strangers {name}").permutation(len(part.labels))[:count]
        images = part.read(np.sort(drawn)).images
        if not len(images):
            raise PipelineError(
                f"{settings.path}: `evaluation.strangers` names {name}, and none of {len(drawn)} images drawn from it "
                "can be read; mend them, or take it out"
            )
        found.append(Strangers(f"images of {name}", _in_the_middle(images, shape)))
    return found


def _pieces(shape: tuple[int, int], count: int, random: np.random.Generator) -> np.ndarray:
    """Squares of 64 to 256 pixels from random places of three photographs: uint8 (N, H, W, 3)."""
    from skimage import data

    photographs = [data.astronaut(), data.coffee(), data.chelsea()]
    out = np.empty((count, *shape, 3), np.uint8)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(random.integers(64, 257))
        top, left = (int(random.integers(0, length - side + 1)) for length in photograph.shape[:2])
        piece = photograph[top : top + side, left : left + side]
        out[number] = cv2.resize(piece, shape[::-1], interpolation=cv2.INTER_AREA)
    return out


def _digits(shape: tuple[int, int], count: int) -> np.ndarray:
    """Those of scikit-learn: uint8 (N, H, W, 3)."""
    chosen = digit_images()[0][:count]
    return _in_the_middle(scale_batch(np.repeat(chosen[..., None], 3, axis=3), min(shape)), shape)


def _in_the_middle(scaled: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Square images uint8 (N, side, side, 3) in the middle of black pictures of a shape (H, W)."""
    side = scaled.shape[1]
    out = np.zeros((len(scaled), *shape, 3), np.uint8)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    out[:, top : top + side, left : left + side] = scaled
    return out
