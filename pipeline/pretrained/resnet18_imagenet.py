"""ResNet-18 as ImageNet taught it (He et al., CVPR 2016): the mean over places of its last maps, 512 numbers."""

from pipeline.pretrained.off_the_shelf import OffTheShelf
from pipeline.pretrained.torchvision_files import AnySide as Settings
from pipeline.pretrained.torchvision_files import residual

__all__ = ["Settings", "fit", "transform"]

BACKBONE = residual("resnet18")
METHOD = OffTheShelf(BACKBONE)
fit, transform = METHOD.fit, METHOD.transform
