"""A matcher: images are compared with examples of each class; the ratio of its test is chosen on val."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline import progress
from pipeline.data.contract import TrainingData
from pipeline.descriptors.matching import Keypoints
from pipeline.evaluation.metrics import top_k_error
from pipeline.models.familiarity import Familiarity
from pipeline.models.fitted import Fitted
from pipeline.models.model import Advance, Facts, Model, Seen, quiet
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute


@dataclass(frozen=True)
class Matcher(Model):
    """Keypoints of examples, and how a match is told.

    Attributes:
        gallery: the examples' keypoints.
        labels: int64 (examples,).
        examples: uint8 (examples, H, W, 3), to show what was matched.
        ratio: chosen on val.
        classes: how many there are.
    """

    recipe: Recipe
    gallery: Keypoints
    labels: np.ndarray
    examples: np.ndarray
    ratio: float
    classes: int
    compute: Compute
    batch: ClassVar[int] = 256

    def see(self, images: np.ndarray) -> Seen:
        """See Model; how well an image matches each class is all that it is told by."""
        module, workers = self.recipe.method.load(), self.compute.worker_count
        scores = self.score_described(module.describe(images, self.recipe.settings, workers))
        return Seen(scores, scores)

    def score_described(self, described: Any, advance: Advance = quiet) -> np.ndarray:
        """Scores of images whose keypoints are known."""
        module, settings = self.recipe.method.load(), self.recipe.settings
        found: np.ndarray = module.score(
            described, self.gallery, self.labels, self.classes, self.ratio, settings.pixels, self.compute.worker_count,
            advance,
        )  # fmt: skip
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The examples and their keypoints; descriptors are whole numbers."""
        return {
            "descriptors": self.gallery.descriptors.astype(np.uint8),
            "places": self.gallery.places,
            "bounds": self.gallery.bounds,
            "labels": self.labels,
            "examples": self.examples,
            "ratio": np.array([self.ratio]),
        }

    def facts(self) -> Facts:
        """Nothing is fitted but the choice of a ratio."""
        return Facts(self.nbytes, 0, None, "cpu", "fp32", self.compute.worker_count)


def restore(recipe: Recipe, arrays: dict[str, np.ndarray], card: Any, compute: Compute) -> Matcher:
    """A model from what `arrays` gave.

    Raises:
        KeyError, ValueError: an array is missing, or they don't belong together.
    """
    gallery = Keypoints(arrays["descriptors"].astype(np.float32), arrays["places"], arrays["bounds"])
    labels = arrays["labels"]
    if len(gallery.bounds) != len(labels) + 1 or gallery.bounds[-1] != len(gallery.descriptors):
        raise ValueError("the examples' keypoints and labels are of different numbers")
    ratio, classes = float(arrays["ratio"][0]), len(card.classes)
    return Matcher(recipe, gallery, labels, arrays["examples"], ratio, classes, compute)


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Describe the examples, and choose the ratio on val.

    Raises:
        PipelineError: the data set is too large for this many examples.
    """
    module, settings, classes = recipe.method.load(), recipe.settings, len(data.classes)
    module.check_size(settings, classes, len(settings.ratios) * len(data.val))
    started = time.perf_counter()
    rows = module.choose_examples(data.train.labels, classes, settings.examples, recipe.seed)
    examples, labels = np.asarray(data.train.images[rows]), data.train.labels[rows]
    gallery = Keypoints.of(module.describe(examples, settings, compute.worker_count))
    tried = []
    with progress.bar(f"match {recipe.key}", len(settings.ratios) * len(data.val)) as bar:
        described = module.describe(data.val.images, settings, compute.worker_count)
        for ratio in settings.ratios:
            model = Matcher(recipe, gallery, labels, examples, ratio, classes, compute)
            scores = model.score_described(described, bar.advance)
            tried.append((top_k_error(scores, data.val.labels, 1), model, scores))
    best = int(np.argmin([error for error, _, _ in tried]))
    trials = [
        {"candidate": f"ratio {model.ratio:g}", "value": model.ratio, "val_error": error, "chosen": number == best}
        for number, (error, model, _) in enumerate(tried)
    ]
    seconds = time.perf_counter() - started
    _, model, scores = tried[best]
    familiarity, strangeness = Familiarity.of(None, [Seen(scores, scores)])
    return Fitted(model, scores, familiarity, strangeness, trials, seconds)
