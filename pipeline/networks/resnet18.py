"""ResNet-18 for large images (He et al., CVPR 2016, table 1)."""

from torch import nn

from pipeline.networks.parts.resnet import Settings, large
from pipeline.networks.parts.resnet import variant_large as variant

__all__ = ["Settings", "build", "variant"]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 8 pixels a side."""
    return large("resnet18", settings, image_shape, classes)
