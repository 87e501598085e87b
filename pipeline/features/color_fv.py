"""Local colour statistics → Fisher vector: the second channel of XRCE's system, which won ILSVRC 2011."""

from __future__ import annotations

import numpy as np

from pipeline.context import Codebook, Context
from pipeline.descriptors import drawing
from pipeline.descriptors.drawing import Picture
from pipeline.descriptors.local_color import local_color
from pipeline.descriptors.local_color_torch import local_color_torch
from pipeline.encoding import fisher_feature

SHOWN = 32
DESCRIPTOR = fisher_feature.Descriptor(local_color, local_color_torch)


class Settings(fisher_feature.FisherSettings):
    """The encoding's settings; the descriptor has none of its own.

    `auto` means bins of u/2 and u here, and a step of u/2: smaller and closer than SIFT's, as val of CIFAR-10 has it.
    """

    scales = (0.5, 1)
    spacing = 0.5


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """PCA and mixture; see fisher_feature.fit."""
    return fisher_feature.fit(DESCRIPTOR, images, settings, context, "color_fv")


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Fisher vectors or their codes; see fisher_feature.transform."""
    return fisher_feature.transform(DESCRIPTOR, images, settings, codebook, context, "color_fv")


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Which Gaussian claims each patch, and the mixture's means as patches."""
    claimed = fisher_feature.claims(DESCRIPTOR, images[:6], settings, codebook, "color_fv")
    means = fisher_feature.mean_descriptors(codebook, SHOWN).reshape(-1, 4, 4, 6)
    colours = (255 * np.clip(means[..., :3], 0, 1)).astype(np.uint8)
    drawn = [drawing.enlarge(patch, 60) for patch in colours]
    caption = f"The {len(drawn)} heaviest Gaussians of the mixture: mean colours of a patch's 4×4 cells."
    return [claimed, Picture(caption, drawing.tiles(drawn, 8))]
