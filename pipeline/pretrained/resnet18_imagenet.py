"""ResNet-18 as ImageNet taught it (He et al., CVPR 2016): the mean over places of its last maps, 512 numbers."""

from pipeline.pretrained.torchvision_files import AnySide as Settings
from pipeline.pretrained.torchvision_files import residual

__all__ = ["Settings", "fit", "transform"]

BACKBONE = residual("resnet18")
fit, transform = BACKBONE.fit, BACKBONE.transform
