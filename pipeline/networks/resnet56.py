"""ResNet-56 for small images (He et al., CVPR 2016, section 4.2)."""

from torch import nn

from pipeline.networks.parts.resnet import Settings, small
from pipeline.networks.parts.resnet import variant_small as variant

__all__ = ["Settings", "build", "variant"]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 8 pixels a side."""
    return small("resnet56", True, settings, image_shape, classes)
