"""Images from files, and every model's answer to each: five guesses with probabilities, and two warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.decode import Unreadable, threads_for
from pipeline.data.intake import Intake
from pipeline.models.folder import Stored
from pipeline.models.look import look_at_all
from pipeline.models.model import Look
from pipeline.models.network import Network
from pipeline.parallel import slices, threads

#: Image uint8 (H, W, 3) and the name of its file → the image after a change.
Changing = Callable[[np.ndarray, str], np.ndarray]
CHUNK = 1024  # images that are in memory at once; a multiple of every model's batch, so that scores keep their bytes
CHUNK_BYTES = 1 << 28  # fewer, where images are large


@dataclass(frozen=True)
class Guess:
    """A class and its calibrated probability, 0-1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What one model says of one image.

    Attributes:
        method: the model's.
        guesses: the most probable classes, the most probable first; empty where the image can't be read.
        unsure: the first guess is less probable than what was asked for.
        unlike_training: the image resembles none of the classes, as far as this model can tell.
        error: why the image can't be read; "" where it can.
    """

    method: str
    guesses: tuple[Guess, ...]
    unsure: bool
    unlike_training: bool
    error: str = ""

    def as_json(self, path: str) -> dict[str, Any]:
        """A row of `predict --json`."""
        return {
            "path": path,
            "method": self.method,
            "guesses": [{"class": guess.name, "probability": round(guess.probability, 6)} for guess in self.guesses],
            "unsure": self.unsure,
            "unlike_training": self.unlike_training,
            "error": self.error or None,
        }


def answers(stored: Stored, found: Look, top: int, at_least: float) -> list[Answer]:
    """Guesses from what a model found in some images.

    Args:
        stored: the model.
        top: how many guesses; all classes where there are fewer.
        at_least: a first guess of a lower probability is unsure.
    """
    card, scores = stored.card, found.scores
    probabilities = card.calibrated.probabilities(scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]  # of equal scores the first class, as in evaluation
    unlike = stored.familiarity.unlike(found.strangeness)
    return [
        Answer(
            card.method,
            tuple(Guess(card.classes[label], float(row[label])) for label in best),
            bool(row[best[0]] < at_least),
            bool(strange),
        )
        for best, row, strange in zip(order, probabilities, unlike, strict=True)
    ]


def answer_files(
    stored: Mapping[str, Stored],
    files: Sequence[Path],
    top: int,
    at_least: float,
    workers: int,
    advance: Callable[[int], None],
    change: Changing | None = None,
) -> Iterator[tuple[Path, list[Answer]]]:
    """Each file with every model's answer, in their order; memory does not grow with their number.

    Where a GPU scores, the next images are read meanwhile. On a CPU reading and scoring take turns: both use all cores,
    and side by side they hold each other up.

    Args:
        stored: models of one data set, by their keys.
        advance: called with the number of images done.
        change: of each image before the models look at it, by its file's name.
    """
    read = Reading(next(iter(stored.values())).card.image, workers, change)
    chunks = chunks_of(read.intake, len(files))
    for chunk, (images, errors) in zip(chunks, _read_chunks(stored, read, files, chunks), strict=True):
        rows = answer_chunk(stored, images, errors, top, at_least)
        yield from zip(files[chunk], rows, strict=True)
        advance(chunk.stop - chunk.start)


def chunks_of(intake: Intake, files: int) -> list[slice]:
    """Which of so many files are read and scored together."""
    return slices(files, max(1, min(CHUNK, CHUNK_BYTES // (intake.height * intake.width * 3))))


@dataclass(frozen=True)
class Reading:
    """How files become images.

    Attributes:
        intake: of the models.
        workers: threads.
        change: of each image; None: as it is.
    """

    intake: Intake
    workers: int
    change: Changing | None

    def all_of(self, files: Sequence[Path]) -> tuple[np.ndarray, list[str]]:
        """The readable images, uint8 (n, H, W, 3), and of each file why it can't be read, or ""."""
        found = list(threads(self._one, files, threads_for(files, self.workers)))
        images = [image for image in found if not isinstance(image, str)]
        nothing = np.empty((0, self.intake.height, self.intake.width, 3), np.uint8)
        return np.stack(images) if images else nothing, [one if isinstance(one, str) else "" for one in found]

    def _one(self, file: Path) -> np.ndarray | str:
        try:
            image = self.intake.read(file)
        except Unreadable as reason:
            return str(reason)
        return image if self.change is None else self.change(image, file.name)


def _read_chunks(
    stored: Mapping[str, Stored], read: Reading, files: Sequence[Path], chunks: list[slice]
) -> Iterator[tuple[np.ndarray, list[str]]]:
    networks = [one.model for one in stored.values() if isinstance(one.model, Network)]
    if all(network.device.type == "cpu" for network in networks):
        yield from (read.all_of(files[chunk]) for chunk in chunks)
        return
    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read.all_of, files[chunk]) for chunk in chunks[:1]]
        for number in range(len(chunks)):
            found = ahead.pop().result()
            if number + 1 < len(chunks):
                ahead.append(reader.submit(read.all_of, files[chunks[number + 1]]))
            yield found


def answer_chunk(
    stored: Mapping[str, Stored], images: np.ndarray, errors: list[str], top: int, at_least: float
) -> list[list[Answer]]:
    """For each image of a chunk, readable or not, the answers of all models; see Reading.all_of and answer_files."""
    good = [not error for error in errors]
    columns = []
    looks = look_at_all(stored, images) if any(good) else {}
    for key, one in stored.items():
        found = iter(answers(one, looks[key], top, at_least) if looks else [])
        columns.append([next(found) if not error else Answer(key, (), False, False, error) for error in errors])
    return [list(row) for row in zip(*columns, strict=True)]
