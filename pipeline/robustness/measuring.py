"""Show changed test images to every fitted model, and count who still knows them; no changed image is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.data.contract import Split
from pipeline.evaluation.metrics import ranks
from pipeline.models.folder import Stored
from pipeline.models.look import look_at_all
from pipeline.models.model import Advance, quiet
from pipeline.parallel import slices, threads
from pipeline.randomness import generator
from pipeline.robustness.change import Beside, Change, Layers

AT_ONCE = 512  # images that are changed together
CLEAN = "none"  # the change that is none, at severity 0


@dataclass(frozen=True)
class Sample:
    """Test images, and for each one another, of another class.

    Attributes:
        images: uint8 (n, H, W, 3).
        labels: int64 (n,).
        names: n.
        others: int64 (n,), rows of `images`.
        grey: whether all images of the data set are grey, as changed ones must stay then.
        seed: of all that is drawn.
        layers: of each image; None: not known.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    others: np.ndarray
    grey: bool
    seed: int
    layers: list[Layers] | None = None

    @staticmethod
    def of(test: Split, count: int, seed: int, grey: bool) -> Sample:
        """Drawn by class: each has its share."""
        rows = by_class(test.labels, count, seed)
        labels = test.labels[rows]
        names = [test.ids[int(row)] for row in rows]
        others = [_other(labels, row, seed, name) for row, name in enumerate(names)]
        return Sample(np.asarray(test.images[rows]), labels, names, np.array(others), grey, seed)

    def changed(self, change: Change, severity: int, rows: slice, workers: int) -> np.ndarray:
        """Some of the images after a change, uint8 (k, H, W, 3); the same, whoever works."""

        def work(row: int) -> np.ndarray:
            return change.on(self.images[row], severity, self.seed, self.names[row], self._beside(row), self.grey)

        return np.stack(list(threads(work, range(rows.start, rows.stop), workers)))

    def _beside(self, row: int) -> Beside:
        other = int(self.others[row])
        known = None if self.layers is None else (self.layers[row], self.layers[other])
        return Beside(self.images[other], known)


@dataclass
class Count:
    """How a method fared on the sample after one change at one severity.

    Attributes:
        images: how many.
        wrong: first guess is wrong.
        wrong_5: not among five guesses; None where there are no more than five classes.
        unchanged: first guesses that are those of the clean image.
        confidence: mean probability of the first guess.
    """

    method: str
    change: str
    severity: int
    images: int = 0
    wrong: int = 0
    wrong_5: int | None = 0
    unchanged: int = 0
    confidence: float = 0.0

    def add(self, scores: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, clean: np.ndarray) -> None:
        """Some more images; clean: what was guessed without the change, int (k,)."""
        place, before = ranks(scores, labels), self.images
        self.images += len(labels)
        self.wrong += int((place > 0).sum())
        self.wrong_5 = None if scores.shape[1] <= 5 else (self.wrong_5 or 0) + int((place > 4).sum())
        self.unchanged += int((scores.argmax(axis=1) == clean).sum())
        self.confidence = (self.confidence * before + float(probabilities.max(axis=1).sum())) / self.images


def fitting(
    changes: Mapping[str, Change],
    wanted: list[str],
    side: int,
    grey: bool,
    company: bool = True,
    layers: bool = False,
) -> tuple[list[Change], dict[str, str]]:
    """The wanted changes that such images can bear, and why others can't.

    Args:
        wanted: keys, or groups.
        side: of the images, in pixels.
        grey: whether they have no colour.
        company: whether there are images of another class.
        layers: whether it is known which pixels belong to the thing.
    """
    found, left_out = [], {}
    for change in changes.values():
        if change.key not in wanted and change.reason not in wanted:
            continue
        if side < change.smallest:
            left_out[change.key] = f"needs images of {change.smallest} pixels a side, and these have {side}"
        elif grey and change.colour:
            left_out[change.key] = "is about colour, and these images are grey"
        elif change.company and not company:
            left_out[change.key] = "needs an image of another class, and there is none"
        elif change.layers and not layers:
            left_out[change.key] = "needs to know which pixels belong to the thing, and these images don't tell"
        else:
            found.append(change)
    return found, left_out


@dataclass(frozen=True)
class Measured:
    """What was found on the sample, condition by condition (see `conditions`).

    Attributes:
        counts: of each condition and method.
        wrong: of each method, bool (conditions, n).
        guesses: of each method, int64 (conditions, n): its first guess.
    """

    counts: list[Count]
    wrong: dict[str, np.ndarray]
    guesses: dict[str, np.ndarray]


def measure(
    stored: Mapping[str, Stored],
    sample: Sample,
    changes: list[Change],
    severities: list[int],
    workers: int,
    advance: Advance = quiet,
) -> Measured:
    """Every method without a change and with each of them; nothing of an image is kept.

    Args:
        stored: fitted models of one data set.
        severities: wanted of each change.
        workers: threads that change images.
        advance: called with the number of images done, in all those of the sample for each condition.
    """
    asked = list(conditions(changes, severities))
    counts: list[Count] = []
    shape = len(asked), len(sample.labels)
    guesses = {key: np.zeros(shape, np.int64) for key in stored}
    for number, (change, severity) in enumerate(asked):
        own = {key: Count(key, CLEAN if change is None else change.key, severity) for key in stored}
        for rows in slices(len(sample.labels), AT_ONCE):
            images = sample.images[rows] if change is None else sample.changed(change, severity, rows, workers)
            for key, look in look_at_all(stored, images).items():
                guesses[key][number, rows] = look.scores.argmax(axis=1)
                probabilities = stored[key].card.calibrated.probabilities(look.scores)
                own[key].add(look.scores, probabilities, sample.labels[rows], guesses[key][0, rows])
            advance(len(images))
        counts += own.values()
    return Measured(counts, {key: found != sample.labels for key, found in guesses.items()}, guesses)


def conditions(changes: list[Change], severities: list[int]) -> Iterator[tuple[Change | None, int]]:
    """No change first, then each at each of its severities."""
    yield None, 0
    for change in changes:
        for severity in change.severities(tuple(severities)):
            yield change, severity


def by_class(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of `count` images (all where there are fewer), each class with its share; more take in those of fewer."""
    order = generator(seed, "robustness sample").permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = order[labels[order] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels))
    return np.sort(np.lexsort((rank, place))[:count])


def _other(labels: np.ndarray, row: int, seed: int, name: str) -> int:
    """A row of another class; the image itself where the sample has but one class."""
    rows = np.flatnonzero(labels != labels[row])
    return int(rows[generator(seed, f"other {name}").integers(len(rows))]) if len(rows) else row
