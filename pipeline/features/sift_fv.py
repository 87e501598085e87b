"""Dense SIFT → Fisher vector: the first channel of XRCE's system, which won ILSVRC 2011."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.context import Codebook, Context
from pipeline.descriptors import drawing
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.descriptors.dense_sift_torch import dense_sift_torch
from pipeline.descriptors.drawing import Picture
from pipeline.encoding import fisher_feature

SHOWN = 32


class Settings(fisher_feature.FisherSettings):
    """SIFT's own choices, beside those of the encoding."""

    window: Literal["flat", "gaussian"]
    norm: Literal["L2", "root"]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """PCA and mixture; see fisher_feature.fit."""
    return fisher_feature.fit(descriptor(settings), images, settings, context, "sift_fv")


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Fisher vectors or their codes; see fisher_feature.transform."""
    return fisher_feature.transform(descriptor(settings), images, settings, codebook, context, "sift_fv")


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Which Gaussian claims each patch, and the mixture's means as descriptors."""
    claimed = fisher_feature.claims(descriptor(settings), images[:6], settings, codebook, "sift_fv")
    means = np.maximum(fisher_feature.mean_descriptors(codebook, SHOWN), 0).reshape(-1, 4, 4, 8)
    drawn = [drawing.strokes(mean, 20, full_circle=True) for mean in means]
    caption = (
        f"The {len(drawn)} heaviest Gaussians of the mixture, their means drawn as SIFT descriptors: 4×4 bins with "
    )
    return [claimed, Picture(caption + "the strengths of eight gradient directions.", drawing.tiles(drawn, 8))]


def descriptor(settings: Settings) -> fisher_feature.Descriptor:
    """SIFT with the settings' window and norm."""
    return fisher_feature.Descriptor(
        lambda images, bin_sizes, step: dense_sift(images, bin_sizes, step, settings.window, settings.norm)[0],
        lambda images, bin_sizes, step: dense_sift_torch(images, bin_sizes, step, settings.window, settings.norm)[0],
    )
