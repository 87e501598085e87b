"""ResNet-50 that goes on learning from where ImageNet left it (He et al., CVPR 2016)."""

from pipeline.pretrained.fine_tuning import Tuned, variant
from pipeline.pretrained.resnet50_imagenet import BACKBONE
from pipeline.pretrained.torchvision_files import AnySideTuned as Settings

__all__ = ["Settings", "build", "rebuild", "variant"]

METHOD = Tuned(BACKBONE)
build, rebuild = METHOD.build, METHOD.rebuild
