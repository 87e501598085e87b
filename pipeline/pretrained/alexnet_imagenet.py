"""AlexNet in one tower as ImageNet taught it (Krizhevsky, arXiv 2014): what enters its last layer, 4096 numbers."""

from pipeline.pretrained.off_the_shelf import OffTheShelf
from pipeline.pretrained.torchvision_files import OneSide as Settings
from pipeline.pretrained.torchvision_files import in_a_row

__all__ = ["Settings", "fit", "transform"]

BACKBONE = in_a_row("alexnet")
METHOD = OffTheShelf(BACKBONE)
fit, transform = METHOD.fit, METHOD.transform
