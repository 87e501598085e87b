"""Test images with two methods' five best guesses each, as in the AlexNet paper's figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from pipeline.data.contract import Split
from pipeline.evaluation.metrics import ranks
from pipeline.evaluation.summary import Result
from pipeline.report.pictures import data_uri


@dataclass(frozen=True)
class Guess:
    """One bar."""

    name: str
    percent: float
    right: bool


@dataclass(frozen=True)
class Picture:
    """One test image and what each method says."""

    uri: str
    name: str
    truth: str
    guesses: dict[str, list[Guess]]


@dataclass(frozen=True)
class Room:
    """Pictures that belong together."""

    title: str
    text: str
    pictures: list[Picture]


def rooms(split: Split, classes: list[str], old: Result | None, new: Result | None, count: int) -> list[Room]:
    """What the new one fixed, what the old one got right, where both fail, the best and the worst of the better one.

    Args:
        split: test.
        old, new: the best hand-crafted and the best learned method, as far as there are any.
        count: pictures in each room, at most.
    """
    methods = [result for result in (old, new) if result is not None]
    shares = {result.method.key: _shares(result.scores["test"]) for result in methods}
    wrong = {result.method.key: ranks(result.scores["test"], split.labels) > 0 for result in methods}
    best = min(methods, key=lambda result: wrong[result.method.key].mean()).method
    truth = {key: share[np.arange(len(split)), split.labels] for key, share in shares.items()}
    sure = truth[best.key]

    def room(title: str, text: str, chosen: np.ndarray, order: np.ndarray) -> Room:
        indices = np.flatnonzero(chosen)
        picked = indices[np.argsort(order[indices], kind="stable")][:count]
        return Room(title, text, [_picture(int(index), split, classes, methods, shares) for index in picked])

    found = []
    if old is not None and new is not None:
        a, b = old.method, new.method
        found += [
            room(f"What {b.title} got right and {a.title} did not", "Surest first.",
                 wrong[a.key] & ~wrong[b.key], -truth[b.key]),
            room(f"What {a.title} got right and {b.title} did not", "Surest first.",
                 wrong[b.key] & ~wrong[a.key], -truth[a.key]),
        ]  # fmt: skip
    everything = np.ones(len(split), bool)
    found += [
        room(f"The best of {best.title}", "The truth has the largest share of the scores.", everything, -sure),
        room(f"The worst of {best.title}", "The truth has the smallest share of the scores.", everything, sure),
    ]
    return [one for one in found if one.pictures]


def _shares(scores: np.ndarray) -> np.ndarray:
    """Softmax of scores brought to a common spread, so that bars of margins and of logits can be compared.

    They show an order and a relation, not calibrated probabilities.
    """
    spread = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(softmax(3 * spread / max(float(spread.std()), 1e-9), axis=1))


def _picture(
    index: int, split: Split, classes: list[str], methods: list[Result], shares: dict[str, np.ndarray]
) -> Picture:
    label = int(split.labels[index])
    guesses = {}
    for result in methods:
        share = shares[result.method.key][index]
        first = np.argsort(-share, kind="stable")[:5]
        guesses[result.method.title] = [
            Guess(classes[guess], round(100 * float(share[guess]), 1), int(guess) == label) for guess in first
        ]
    return Picture(data_uri(np.asarray(split.images[index])), split.ids[index], classes[label], guesses)
