"""A network that an earlier run trained on other images, and that goes on learning from there."""

from pipeline.pretrained.earlier import Earlier
from pipeline.pretrained.fine_tuning import FineTuning as Settings
from pipeline.pretrained.fine_tuning import Tuned, variant

__all__ = ["Settings", "build", "rebuild", "variant"]

METHOD = Tuned(Earlier())
build, rebuild = METHOD.build, METHOD.rebuild
