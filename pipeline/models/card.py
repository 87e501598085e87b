"""The card of a fitted model: everything about it that is no array, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline import catalogue
from pipeline.data.intake import Intake
from pipeline.evaluation.calibration import Calibration
from pipeline.models.recipe import FeatureSvmSettings, Recipe
from pipeline.settings import Augmentation, Section, Svm

FORMAT = 1  # of a model folder; higher ones are of newer versions of this project

Percent = Annotated[float, Field(ge=0, le=100)]


class Errors(Section):
    """Errors in percent on one split, with their intervals; top-5 is null with fewer than six classes."""

    top1_error: Percent
    top1_low: Percent
    top1_high: Percent
    top5_error: Percent | None
    top5_low: Percent | None
    top5_high: Percent | None


class Costs(Section):
    """What the model costs; see evaluation.scores.Cost."""

    training_seconds: float
    prediction_ms: float
    parameters: int
    multiply_adds: int | None
    device: str
    precision: Literal["fp32", "bf16"]
    threads: int
    views: int


class Unlike(Section):
    """When an image is taken for one of none of the classes; see familiarity.Familiarity.

    Attributes:
        above: the threshold on its strangeness; the arrays have what that is measured by.
        false_alarms: the share of val that lies above it, 0-1.
    """

    above: float
    false_alarms: Annotated[float, Field(ge=0, le=1)]


class File(Section):
    """A file beside the card, so that a damaged or exchanged one is told."""

    bytes: int
    blake2b: str


class Card(Section):
    """A fitted model, but for its arrays.

    Attributes:
        format: of the folder.
        method, title, year, era: the catalogue's.
        classes: names, in the order of the scores.
        image: what images are brought to, and how.
        dataset, description, licence: of the images it was fitted to; the licence is a note.
        fingerprints, images: of each split of the data set: what it is known by, and how many images it has.
        budget, seed, settings, allowed, copies, views, refit: what it was fitted with.
        members: of a fusion, in the order of its weights; their folders lie beside this one.
        errors: on val and test; val chose among candidates, so its errors are a little too low.
        confidence: of the errors' intervals.
        calibration: turns scores into probabilities; fitted on val.
        unlike: when an image is of none of the classes; set on val.
        cost: of fitting and scoring, where it was fitted.
        versions: of Python and the packages that it was fitted with.
        files: beside the card.
    """

    format: Literal[1]
    method: str
    title: str
    year: int
    era: str
    classes: Annotated[list[str], Field(min_length=2)]
    image: Intake
    dataset: str
    description: str
    licence: str
    fingerprints: dict[str, str]
    images: dict[str, int]
    budget: str
    seed: int
    settings: dict[str, Any]
    allowed: Augmentation
    copies: int
    views: int
    refit: bool = False  # older cards have none
    members: list[str]
    errors: dict[str, Errors]
    confidence: float
    calibration: dict[str, Any]
    unlike: Unlike
    cost: Costs
    versions: dict[str, str]
    files: dict[str, File]

    @property
    def calibrated(self) -> Calibration:
        """What turns scores into probabilities.

        Raises:
            ValueError: the card's mapping is not one.
        """
        return Calibration.of_dict(self.calibration)

    def recipe(self, members: tuple[Recipe, ...] = ()) -> Recipe:
        """What the model was fitted with.

        Raises:
            KeyError, ValueError: the method is unknown here, or its settings are of another version.
        """
        family = catalogue.BY_KEY[self.method].family
        if family == "fusion":
            settings: Any = members
        elif catalogue.BY_KEY[self.method].has_svm:
            module = catalogue.BY_KEY[self.method].load()
            settings = FeatureSvmSettings(
                features=module.Settings.model_validate(self.settings["features"]),
                svm=Svm.model_validate(self.settings["svm"]),
            )
        else:
            settings = catalogue.BY_KEY[self.method].load().Settings.model_validate(self.settings)
        return Recipe(self.method, settings, self.seed, self.allowed, self.copies, self.views, self.refit)
