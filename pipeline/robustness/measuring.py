"""Show changed test images to every fitted model, and count who still knows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.metrics import ranks
from pipeline.models.folder import Stored
from pipeline.models.look import look_at_all
from pipeline.models.model import Advance, quiet
from pipeline.parallel import slices
from pipeline.robustness.change import Change
from pipeline.robustness.sample import Sample

AT_ONCE = 512  # images that are changed together
CLEAN = "none"  # the change that is none, at severity 0


#: A change, or None, and how severe it is.
Condition = tuple[Change | None, int]
NO_CHANGE: Condition = (None, 0)


@dataclass(frozen=True)
class Answers:
    """What a method says of the sample after one change at one severity.

    Attributes:
        guesses: int64 (n,), the class that it finds likeliest.
        places: int64 (n,), that of the true class among all, from 0 on.
        confidence: mean probability of the guesses.
    """

    guesses: np.ndarray
    places: np.ndarray
    confidence: float


@dataclass(frozen=True)
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
    images: int
    wrong: int
    wrong_5: int | None
    unchanged: int
    confidence: float


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


def fitting(
    changes: Mapping[str, Change],
    wanted: list[str],
    side: int,
    grey: bool,
    company: bool = True,
    layers: str = "these images don't tell",
) -> tuple[list[Change], dict[str, str]]:
    """The wanted changes that such images can bear, and why others can't.

    Args:
        wanted: keys, or groups.
        side: of the images, in pixels.
        grey: whether they have no colour.
        company: whether there are images of another class.
        layers: why it isn't known which pixels belong to the thing; "" where it is.
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
        elif change.layers and layers:
            left_out[change.key] = f"needs to know which pixels belong to the thing, and {layers}"
        else:
            found.append(change)
    return found, left_out


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
    classes = len(next(iter(stored.values())).card.classes)
    asked = list(conditions(changes, severities))
    return counted(asked, (show(stored, sample, one, workers, advance) for one in asked), classes)


def show(
    stored: Mapping[str, Stored], sample: Sample, condition: Condition, workers: int, advance: Advance = quiet
) -> dict[str, Answers]:
    """What every method says of the sample after one change.

    Args:
        workers: threads that change images.
        advance: called with the number of images done.
    """
    change, severity = condition
    guesses: dict[str, list[np.ndarray]] = {key: [] for key in stored}
    places: dict[str, list[np.ndarray]] = {key: [] for key in stored}
    sums = dict.fromkeys(stored, 0.0)
    for rows in slices(len(sample.labels), AT_ONCE):
        images = sample.images[rows] if change is None else sample.changed(change, severity, rows, workers)
        for key, look in look_at_all(stored, images).items():
            guesses[key].append(look.scores.argmax(axis=1))
            places[key].append(ranks(look.scores, sample.labels[rows]))
            sums[key] += float(stored[key].card.calibrated.probabilities(look.scores).max(axis=1).sum())
        advance(len(images))
    count = len(sample.labels)
    return {
        key: Answers(np.concatenate(guesses[key]), np.concatenate(places[key]), sums[key] / count) for key in stored
    }


def counted(asked: list[Condition], shown: Iterable[dict[str, Answers]], classes: int) -> Measured:
    """Counts of what was said under each condition, of which the first is none.

    Args:
        asked: the conditions.
        shown: what every method said, in the same order.
        classes: how many there are.
    """
    counts: list[Count] = []
    wrong: dict[str, list[np.ndarray]] = {}
    guesses: dict[str, list[np.ndarray]] = {}
    for (change, severity), answers in zip(asked, shown, strict=True):
        for key, said in answers.items():
            wrong.setdefault(key, []).append(said.places > 0)
            guesses.setdefault(key, []).append(said.guesses)
            counts.append(
                Count(
                    method=key,
                    change=CLEAN if change is None else change.key,
                    severity=severity,
                    images=len(said.places),
                    wrong=int((said.places > 0).sum()),
                    wrong_5=None if classes <= 5 else int((said.places > 4).sum()),
                    unchanged=int((said.guesses == guesses[key][0]).sum()),
                    confidence=said.confidence,
                )
            )
    return Measured(
        counts,
        {key: np.stack(rows) for key, rows in wrong.items()},
        {key: np.stack(rows) for key, rows in guesses.items()},
    )


def conditions(changes: list[Change], severities: list[int]) -> Iterator[Condition]:
    """No change first, then each at each of its severities."""
    yield NO_CHANGE
    for change in changes:
        for severity in change.severities(tuple(severities)):
            yield change, severity
