"""What a feature module is, for the fitted models and the type checker."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from pipeline.context import Codebook, Context
from pipeline.settings import Section


class Feature(Protocol):
    """A feature module.

    It may also have pictures(images, settings, codebook) -> list[Picture]: what it sees in some images.
    """

    Settings: type[Section]

    def fit(self, images: np.ndarray, settings: Any, context: Context) -> Codebook:
        """Learn the codebook from the images of train, uint8 (N, H, W, 3)."""

    def transform(self, images: np.ndarray, settings: Any, codebook: Codebook, context: Context) -> np.ndarray:
        """Compute vectors from images uint8 (N, H, W, 3).

        float32 or float16 (N, D); of train also uint8 product codes (N, D / G), whose `centroids` are in the codebook.
        """
