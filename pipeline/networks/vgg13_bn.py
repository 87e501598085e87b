"""VGG-13 with batch normalisation after each convolution."""

from torch import nn

from pipeline.networks.parts.vgg import Settings, variant, vgg

__all__ = ["Settings", "build", "variant"]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 32 pixels a side."""
    return vgg("vgg13", True, settings, image_shape, classes)
