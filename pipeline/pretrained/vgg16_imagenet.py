"""VGG-16 as ImageNet taught it (Simonyan & Zisserman, ICLR 2015): what enters its last layer, 4096 numbers."""

from pipeline.pretrained.off_the_shelf import OffTheShelf
from pipeline.pretrained.torchvision_files import OneSide as Settings
from pipeline.pretrained.torchvision_files import in_a_row

__all__ = ["Settings", "fit", "transform"]

BACKBONE = in_a_row("vgg16")
METHOD = OffTheShelf(BACKBONE)
fit, transform = METHOD.fit, METHOD.transform
