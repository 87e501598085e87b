"""ResNet-18 as ImageNet taught it (He et al., CVPR 2016): the mean over places of its last maps."""

import numpy as np

from pipeline.context import Codebook, Context
from pipeline.pretrained.torchvision_files import AnySide as Settings
from pipeline.pretrained.torchvision_files import residual

__all__ = ["Settings", "fit", "transform"]

BACKBONE = residual("resnet18")


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """The published weights; nothing is learned from these images."""
    return BACKBONE.read(settings)


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """What enters the last layer, float32 (N, 512)."""
    return BACKBONE.describe(images, settings, codebook, context)
