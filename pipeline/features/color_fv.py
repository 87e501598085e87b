"""Local colour statistics → Fisher vector: the second channel of XRCE's system, which won ILSVRC 2011."""

from __future__ import annotations

import numpy as np

from pipeline.descriptors.local_color import local_color
from pipeline.encoding import fisher_feature
from pipeline.features.base import Codebook, Context


class Settings(fisher_feature.FisherSettings):
    """The encoding's settings; the descriptor has none of its own.

    `auto` means bins of u/2 and u here, and a step of u/2: smaller and closer than SIFT's, as val of CIFAR-10 has it.
    """

    scales = (0.5, 1)
    spacing = 0.5


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """PCA and mixture; see fisher_feature.fit."""
    return fisher_feature.fit(local_color, images, settings, context, "color_fv")


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Fisher vectors or their codes; see fisher_feature.transform."""
    return fisher_feature.transform(local_color, images, settings, codebook, context, "color_fv")
