"""A fitted model for other programs.

from pipeline import load_model

model = load_model("models/airbench")
answer = model.guess("photo.jpg")
for guess in answer.guesses:
print(guess.name, guess.probability)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.models.card import Card
from pipeline.models.folder import Stored, load
from pipeline.models.look import look_at
from pipeline.prediction.choosing import ANYWHERE
from pipeline.prediction.scoring import Answer, answers


@dataclass(frozen=True)
class LoadedModel:
    """A model that was read from its folder."""

    stored: Stored

    @property
    def card(self) -> Card:
        """All that is known of it: method, classes, errors with intervals, settings, and the licence of the images."""
        return self.stored.card

    @property
    def classes(self) -> list[str]:
        """In the order of the scores."""
        return self.card.classes

    def read(self, path: str | Path) -> np.ndarray:
        """A photograph as the model takes it, uint8 (H, W, 3), scaled and cut as the training images were.

        Raises:
            data.decode.Unreadable: with the reason.
        """
        return self.card.image.read(Path(path))

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 (N, H, W, 3) of the model's size → scores float32 (N, classes), larger is better.

        Raises:
            ValueError: images of another shape or type.
        """
        height, width = self.card.image.height, self.card.image.width
        if images.dtype != np.uint8 or images.shape[1:] != (height, width, 3):
            wanted = f"uint8 (N, {height}, {width}, 3)"
            raise ValueError(f"images are {images.dtype} {images.shape}; the model takes {wanted}")
        return self.stored.model.scores(images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of the classes, float64 (N, classes); images as in `scores`."""
        return self.card.calibrated.probabilities(self.scores(images))

    def guess(self, path: str | Path, top: int = 5, at_least: float = 0.0) -> Answer:
        """The most probable classes of a photograph.

        Args:
            top: how many guesses.
            at_least: the answer is `unsure` where the first guess is less probable.

        Raises:
            data.decode.Unreadable: with the reason.
        """
        return answers(self.stored, look_at(self.stored, self.read(path)[None]), top, at_least)[0]


def load_model(folder: str | Path) -> LoadedModel:
    """Read a model's folder; a fusion's members lie beside it.

    Raises:
        PipelineError: the folder can't be used; one sentence says why.
    """
    return LoadedModel(load(Path(folder), ANYWHERE))
