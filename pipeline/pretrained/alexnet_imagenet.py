"""AlexNet in one tower as ImageNet taught it (Krizhevsky, arXiv 2014): what enters its last layer."""

import numpy as np

from pipeline.context import Codebook, Context
from pipeline.pretrained.torchvision_files import OneSide as Settings
from pipeline.pretrained.torchvision_files import in_a_row

__all__ = ["Settings", "fit", "transform"]

BACKBONE = in_a_row("alexnet")


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """The published weights; nothing is learned from these images."""
    return BACKBONE.read(settings)


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """What enters the last layer, float32 (N, 4096)."""
    return BACKBONE.describe(images, settings, codebook, context)
