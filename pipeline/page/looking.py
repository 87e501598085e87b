"""What the page answers: all models' guesses with their times, what one sees, its most similar training images."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline import layout
from pipeline.data.contract import Split, load_split
from pipeline.errors import PipelineError
from pipeline.models.folder import Stored
from pipeline.models.fusion import normalised
from pipeline.models.look import look_at, look_at_all
from pipeline.prediction.scoring import answers
from pipeline.randomness import generator
from pipeline.robustness.change import GROUPS, Beside, Change
from pipeline.robustness.changes import changes
from pipeline.robustness.measuring import fitting
from pipeline.sights.photograph import pictures_of

GUESSES = 5
EXAMPLES, SIMILAR = 300, 5  # training images that are compared, and shown


@dataclass
class Looking:
    """The models, and what is known of the training images.

    Attributes:
        stored: models of one data set, by their keys.
        examples: some training images; None where the project has none of these models' data.
    """

    stored: Mapping[str, Stored]
    examples: Split | None = None
    _embedded: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def of(stored: Mapping[str, Stored], data: Path = layout.DATA) -> Looking:
        """With the training images that lie in a folder, where they are those of the models."""
        return Looking(stored, _examples(stored, data))

    def warm(self, key: str) -> None:
        """Ask one model once, so that the first answer is as fast as the others: kernels compile on their first use."""
        noise = generator(0, "warm").integers(0, 256, (self.card.image.height, self.card.image.width, 3), np.uint8)
        look_at(self.stored[key], noise[None])
        self.sees(key, noise)

    @property
    def card(self) -> Any:
        """Of the first model; all have its classes and size of images."""
        return next(iter(self.stored.values())).card

    def models(self) -> list[dict[str, Any]]:
        """What the page says of each model."""
        return [
            {
                "method": key,
                "title": one.card.title,
                "year": one.card.year,
                "era": one.card.era,
                "error": round(one.card.errors["test"].top1_error, 1),
            }
            for key, one in self.stored.items()
        ]

    def read(self, raw: bytes) -> tuple[np.ndarray, str]:
        """A photograph's bytes as the models take it, uint8 (H, W, 3), and a note on what was left out.

        Raises:
            Unreadable: with the reason.
        """
        image = self.card.image.decode(raw)
        return image, _note(raw)

    def changes(self) -> list[dict[str, Any]]:
        """In which ways a photograph can be changed before the models look: those that such images can bear."""
        return [
            {"key": one.key, "title": one.title, "group": GROUPS[one.reason], "named": list(one.named)}
            for one in self._changes().values()
        ]

    def changed(self, image: np.ndarray, key: str, severity: int) -> np.ndarray:
        """A photograph, as `read` gives it, after a change.

        Raises:
            PipelineError: the change or its severity is unknown.
        """
        change = self._changes().get(key)
        if change is None or not 1 <= severity <= len(change.levels):
            raise PipelineError(f"there is no change {key[:60]!r} of severity {severity} for these images")
        other = self._other() if change.company else image
        name = hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest()  # another photograph is changed otherwise
        return change.on(image, severity, self.card.seed, name, Beside(other), self.card.image.grey)

    def _changes(self) -> dict[str, Change]:
        side = min(self.card.image.height, self.card.image.width)
        found, _ = fitting(changes(side), list(GROUPS), side, self.card.image.grey, self.examples is not None)
        return {one.key: one for one in found}

    def _other(self) -> np.ndarray:
        """The training image that stands for others."""
        assert self.examples is not None
        return np.asarray(self.examples.images[0])

    def guess(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Each model's answer and its milliseconds; a fusion's are its members' together."""
        looks = look_at_all(self.stored, image[None])
        found = []
        for key, one in self.stored.items():
            answer = answers(one, looks[key], GUESSES, 0.0)[0]
            found.append(answer.as_json("") | {"milliseconds": round(1000 * looks[key].seconds, 2)})
        return found

    def sees(self, key: str, image: np.ndarray) -> list[dict[str, str]]:
        """Pictures of what one model sees in the photograph."""
        return [
            {"caption": picture.caption, "uri": data_uri(picture.pixels)}
            for picture in pictures_of(self.stored[key].model, image)
        ]

    def similar(self, key: str, image: np.ndarray) -> list[dict[str, str]]:
        """The training images whose features are most like the photograph's, by cosine.

        Raises:
            PipelineError: this project has none of the model's training images.
        """
        if self.examples is None:
            raise PipelineError(
                "the training images of these models do not lie in this project's data/, so none can be shown"
            )
        model = self.stored[key].model
        if key not in self._embedded:
            self._embedded[key] = normalised(model.embed(self.examples.images))
        likeness = self._embedded[key] @ normalised(model.embed(image[None]))[0]
        nearest = np.argsort(-likeness, kind="stable")[:SIMILAR]
        return [
            {
                "class": self.card.classes[int(self.examples.labels[number])],
                "uri": data_uri(np.asarray(self.examples.images[number])),
            }
            for number in nearest
        ]


def data_uri(pixels: np.ndarray) -> str:
    """An image uint8 (H, W, 3) as the address of a PNG."""
    encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(encoded).decode()}"


def _examples(stored: Mapping[str, Stored], data: Path) -> Split | None:
    """The same number of each class, as far as train has them."""
    card = next(iter(stored.values())).card
    try:
        train = load_split("train", data)
    except PipelineError:
        return None
    if train.images.shape[1:3] != (card.image.height, card.image.width) or len(train) != card.images["train"]:
        return None
    order = generator(card.seed, "examples").permutation(len(train))
    each = max(1, EXAMPLES // len(card.classes))
    rows = np.sort(np.concatenate([order[train.labels[order] == label][:each] for label in range(len(card.classes))]))
    return Split("train", np.asarray(train.images[rows]), train.labels[rows], [train.ids[row] for row in rows])


def _note(raw: bytes) -> str:
    try:
        with Image.open(io.BytesIO(raw)) as image:
            frames = getattr(image, "n_frames", 1)
    except Exception:  # a format that only OpenCV reads has no frames that we know of
        return ""
    return f"This file has {frames} frames; the models look at the first one." if frames > 1 else ""
