"""Whether this machine scores as the run did: stored test images, scored again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline import catalogue, layout
from pipeline.data.contract import Split
from pipeline.evaluation.scores import read_scores
from pipeline.models.folder import Stored

GUESSES = 5
SAME_GUESSES = 0.999  # of the images
WITHIN = 1e-3  # of the scores' standard deviation


@dataclass(frozen=True)
class Agreement:
    """Of one model.

    Attributes:
        same_bytes: whether all scores are equal in every bit.
        difference: the largest, as a share of the scores' standard deviation.
        same_guesses: share of images with the same five guesses.
    """

    same_bytes: bool
    difference: float
    same_guesses: float

    @property
    def good(self) -> bool:
        """Whether the differences are those of rounding."""
        return self.same_bytes or (self.difference <= WITHIN and self.same_guesses >= SAME_GUESSES)

    @property
    def words(self) -> str:
        """For a person."""
        if self.same_bytes:
            return "agrees with the run in every byte"
        return (
            f"{'agrees with' if self.good else 'DIFFERS from'} the run: scores differ by at most {self.difference:.1e} "
            f"of their standard deviation, and {100 * self.same_guesses:.2f} % of the images have the same five guesses"
        )


def agreement(before: np.ndarray, now: np.ndarray) -> Agreement:
    """Compare two tables of scores, float32 (N, classes)."""
    spread = max(float(before.std()), 1e-12)
    guesses = [np.argsort(-scores, axis=1, kind="stable")[:, :GUESSES] for scores in (before, now)]
    return Agreement(
        bool(np.array_equal(before, now)),
        float(np.abs(before - now).max()) / spread,
        float((guesses[0] == guesses[1]).all(axis=1).mean()),
    )


def scores_of_the_run(stored: Stored, test: Split) -> np.ndarray:
    """The run's own scores of test.

    Raises:
        PipelineError: they are missing, or of other images.
    """
    method = catalogue.BY_KEY[stored.card.method]
    stage = layout.stage_of(method.family, method.key)
    folder = layout.results_of(method.family, method.key)
    return read_scores(folder, {"test": test}, len(stored.card.classes), stage)["test"]
