"""EfficientNet-Lite0 that goes on learning from where ImageNet left it (Tan & Le, ICML 2019)."""

from pipeline.pretrained.efficientnet_lite0 import BACKBONE
from pipeline.pretrained.fine_tuning import Settings, Tuned, variant

__all__ = ["Settings", "build", "rebuild", "variant"]

METHOD = Tuned(BACKBONE)
build, rebuild = METHOD.build, METHOD.rebuild
