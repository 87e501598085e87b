"""Dense SIFT → Fisher vector: the first channel of XRCE's system, which won ILSVRC 2011."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.descriptors.dense_sift import dense_sift
from pipeline.encoding import fisher_feature
from pipeline.features.base import Codebook, Context


class Settings(fisher_feature.FisherSettings):
    """SIFT's own choices, beside those of the encoding."""

    window: Literal["flat", "gaussian"]
    norm: Literal["L2", "root"]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """PCA and mixture; see fisher_feature.fit."""
    return fisher_feature.fit(_describe(settings), images, settings, context, "sift_fv")


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Fisher vectors or their codes; see fisher_feature.transform."""
    return fisher_feature.transform(_describe(settings), images, settings, codebook, context, "sift_fv")


def _describe(settings: Settings) -> fisher_feature.Describe:
    return lambda images, bin_sizes, step: dense_sift(images, bin_sizes, step, settings.window, settings.norm)[0]
