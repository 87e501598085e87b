"""All that decides what a method becomes, beside the images that it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pipeline import catalogue
from pipeline.catalogue import Family, Method
from pipeline.errors import Senseless
from pipeline.settings import STILL, Augmentation, Section, Settings, Svm


class FeatureSvmSettings(Section):
    """A feature's own settings, as its module declares them, and those of the SVM behind it."""

    features: Any
    svm: Svm


@dataclass(frozen=True)
class Recipe:
    """What to fit, and how.

    Attributes:
        key: of the method.
        settings: FeatureSvmSettings, a matcher's or a network's own, or the members' recipes of a fusion.
        seed: every random choice comes from it.
        allowed: the changes that leave an image in its class.
        copies: augmented copies that a feature and its SVM see beside each training image.
        views: of each image that they score; 2: also its mirror image.
        refit: whether the method learns once more, from train and val together, when all is chosen. Codebooks stay.
    """

    key: str
    settings: Any
    seed: int
    allowed: Augmentation
    copies: int = 0
    views: int = 1
    refit: bool = False

    @staticmethod
    def of(chosen: Settings, key: str, family: Family, change: dict[str, Any] | None = None) -> Recipe:
        """As params.yaml has it.

        Args:
            key: perhaps one that somebody typed.
            family: of which it must be.
            change: goes over a network's settings; for ablations.

        Raises:
            PipelineError: the key is none of that family, or a setting is wrong; names it.
            Senseless: a network's views need a mirror that the data set does not allow.
        """
        allowed = chosen.source.augmentation
        if family == "fusion":
            return Recipe(
                key,
                tuple(Recipe.of(chosen, one, "feature") for one in chosen.members(key)),
                chosen.seed,
                allowed,
                refit=chosen.refit,
            )
        if family == "matcher":
            return Recipe(key, chosen.matcher(key), chosen.seed, allowed)
        if family in ("network", "fine_tuned"):
            return Recipe(key, _network(chosen, key, family, change), chosen.seed, allowed, refit=chosen.refit)
        settings = FeatureSvmSettings(features=chosen.feature(key, family), svm=chosen.svm(key, family))
        copies = chosen.augmentation.copies if allowed != STILL else 0
        views = chosen.augmentation.views if allowed.mirror else 1
        return Recipe(key, settings, chosen.seed, allowed, copies, views, chosen.refit)

    def at_each_side(self) -> list[Recipe]:
        """One for each size of the images among which val chooses, the smallest first; of most methods itself alone."""
        features = getattr(self.settings, "features", None)
        side = getattr(features, "side", None)
        if features is None or not isinstance(side, list):
            return [self]
        each = [features.model_copy(update={"side": one}) for one in sorted(side)]
        return [replace(self, settings=self.settings.model_copy(update={"features": one})) for one in each]

    @property
    def method(self) -> Method:
        """Its entry in the catalogue."""
        return catalogue.BY_KEY[self.key]

    def settings_as_json(self) -> Any:
        """The settings as a model's card keeps them; of a fusion its members' names."""
        if self.method.family == "fusion":
            return {"members": [member.key for member in self.settings]}
        if self.method.has_svm:
            return {"features": self.settings.features.model_dump(), "svm": self.settings.svm.model_dump()}
        return self.settings.model_dump()


def _network(chosen: Settings, key: str, family: Family, change: dict[str, Any] | None) -> Any:
    network = chosen.network(key, change, family)
    if network.views != "single" and not chosen.source.augmentation.mirror:
        raise Senseless(
            f"`{key}.views` is {network.views}, but `datasets.{chosen.dataset}.augmentation.mirror` is false: "
            "mirror images would be of other classes; set it to single"
        )
    return network
