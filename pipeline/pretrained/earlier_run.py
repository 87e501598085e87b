"""A network that an earlier run trained on other images, as a feature: what enters its last layer."""

from pipeline.pretrained.earlier import Earlier
from pipeline.pretrained.off_the_shelf import Norm, OffTheShelf
from pipeline.settings import Section, Weights

__all__ = ["Settings", "fit", "transform"]


class Settings(Section):
    """Which model folder, and what is done to activations; see off_the_shelf.Settings."""

    weights: Weights
    norm: Norm

    @property
    def side(self) -> None:
        """Images are brought to the size that the network learned on."""


METHOD = OffTheShelf(Earlier())
fit, transform = METHOD.fit, METHOD.transform
