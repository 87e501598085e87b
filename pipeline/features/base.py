"""What a feature module is, for the stages and the type checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline import catalogue
from pipeline.settings import Section, Settings

#: Learned from train; stored as an .npz beside the model.
Codebook = dict[str, np.ndarray]


@dataclass(frozen=True)
class Context:
    """What a feature may use beside the images.

    Attributes:
        seed: for random choices, together with the name of the step.
        workers: threads or processes; results must not depend on it.
        backend: joblib's.
        advance: call with the number of images done, for the progress bar.
        training: whether the images are of train, whose vectors may be compressed: they are many, and are read again
            and again.
        device: where a feature that has a version for GPUs computes: auto, cpu or cuda.
    """

    seed: int
    workers: int = 1
    backend: str = "loky"
    advance: Callable[[int], None] = lambda count: None
    training: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Picture:
    """What a method sees, for the report.

    Attributes:
        caption: what is shown; it also serves who can't see it.
        pixels: uint8 (H, W, 3).
    """

    caption: str
    pixels: np.ndarray


class Feature(Protocol):
    """A feature module.

    It may also have pictures(images, settings, codebook) -> list[Picture]: what it sees in some images of train.
    """

    Settings: type[Section]

    def fit(self, images: np.ndarray, settings: Any, context: Context) -> Codebook:
        """Learn the codebook from the images of train, uint8 (N, H, W, 3)."""

    def transform(self, images: np.ndarray, settings: Any, codebook: Codebook, context: Context) -> np.ndarray:
        """Compute vectors from images uint8 (N, H, W, 3).

        float32 or float16 (N, D); of train also uint8 product codes (N, D / G), whose `centroids` are in the codebook.
        """


def load_feature(settings: Settings, key: str) -> tuple[Feature, Any]:
    """A feature's module and its validated settings."""
    return catalogue.BY_KEY[key].load(), settings.feature(key)
