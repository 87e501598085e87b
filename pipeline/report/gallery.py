"""Test images with methods' five best guesses each, as in the AlexNet paper's figure.

A page can't hold every image, so some are picked for every pair of methods; the page's script filters those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from pipeline.data.contract import Split
from pipeline.evaluation.results import Result
from pipeline.report.pictures import data_uri, sheet

GUESSES = 5
MOST = 300  # images in all
OF_EACH_PAIR = 4
OF_EACH_METHOD = 6
COLUMNS = 20  # of the sheet
CHUNK = 4096


@dataclass(frozen=True)
class Opinions:
    """What one method says of some images.

    Attributes:
        classes: int (N, ≤ 5), best guess first.
        percent: float (N, ≤ 5), shares of the scores.
    """

    classes: np.ndarray
    percent: np.ndarray


@dataclass(frozen=True)
class Pool:
    """The picked images, all in one sheet.

    Attributes:
        names: ids of the images.
        truths: int (N,).
        opinions: of each method, by its key.
        classes: their names.
        sheet: a data URI.
        columns, rows: of the sheet.
    """

    names: list[str]
    truths: np.ndarray
    opinions: dict[str, Opinions]
    classes: list[str]
    sheet: str
    columns: int
    rows: int

    def as_json(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "columns": self.columns,
            "names": self.names,
            "truths": self.truths.tolist(),
            "classes": self.classes,
            "guesses": {key: [said.classes.tolist(), said.percent.tolist()] for key, said in self.opinions.items()},
        }


@dataclass(frozen=True)
class Guess:
    """One bar."""

    name: str
    percent: float
    right: bool


@dataclass(frozen=True)
class Picture:
    """One test image, where it lies in the sheet, and what each of some methods says, by their titles."""

    x: int
    y: int
    name: str
    truth: str
    guesses: dict[str, list[Guess]]


def pick(split: Split, classes: list[str], results: list[Result], shown: list[Result]) -> Pool:
    """Pick images: first for the methods that are shown at first, then for each method, then for each pair of them.

    Args:
        split: test.
        classes: their names.
        results: of all methods.
        shown: the one or two methods whose guesses the page shows at first.
    """
    labels = np.asarray(split.labels)
    units = {result.method.key: _unit(result.scores["test"]) for result in results}
    first = {result.method.key: _first_guesses(result.scores["test"], units[result.method.key]) for result in results}
    right = {key: guess == labels for key, (guess, _) in first.items()}
    sure = {key: share for key, (_, share) in first.items()}
    picked: dict[int, None] = {}
    for indices in _wishes(right, sure, [result.method.key for result in shown]):
        picked |= dict.fromkeys(indices.tolist())
        if len(picked) >= MOST:
            break
    indices = np.array(sorted(list(picked)[:MOST]), dtype=int)
    return Pool(
        names=[split.ids[index] for index in indices],
        truths=labels[indices],
        opinions={
            result.method.key: _opinions(result.scores["test"], indices, units[result.method.key]) for result in results
        },
        classes=classes,
        sheet=data_uri(sheet(np.asarray(split.images[indices]), COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(indices) // COLUMNS),
    )


def pictures(pool: Pool, shown: list[Result], count: int) -> list[Picture]:
    """What the second method got right and the first did not, surest first; of a single method its worst mistakes.

    These stand in the page before its script shows others.
    """
    keys = [result.method.key for result in shown]
    right = {key: pool.opinions[key].classes[:, 0] == pool.truths for key in keys}
    chosen = ~right[keys[0]] & right[keys[-1]] if len(keys) > 1 else ~right[keys[0]]
    order = np.argsort(-pool.opinions[keys[-1]].percent[:, 0], kind="stable")
    return [_picture(pool, int(index), shown) for index in order[chosen[order]][:count]]


def _wishes(right: dict[str, np.ndarray], sure: dict[str, np.ndarray], shown: list[str]) -> Iterator[np.ndarray]:
    """Indices of images worth showing, the most wanted first."""

    def surest(chosen: np.ndarray, key: str, count: int) -> np.ndarray:
        found = np.flatnonzero(chosen)
        return found[np.argsort(-sure[key][found], kind="stable")][:count]

    if len(shown) == 2:
        a, b = shown
        yield surest(right[b] & ~right[a], b, 24)
        yield surest(right[a] & ~right[b], a, 24)
        yield surest(~right[a] & ~right[b], b, 12)
        yield surest(right[a] & right[b], b, 12)
    for key in right:
        yield surest(~right[key], key, OF_EACH_METHOD)
    yield surest(~np.any(list(right.values()), axis=0), next(iter(right)), 12)
    yield surest(np.all(list(right.values()), axis=0), next(iter(right)), 6)
    of_pairs = [surest(right[b] & ~right[a], b, OF_EACH_PAIR) for a, b in permutations(right, 2)]
    for rank in range(OF_EACH_PAIR):  # one of every pair before a second of any
        yield np.array([found[rank] for found in of_pairs if rank < len(found)], dtype=int)


def _unit(scores: np.ndarray) -> float:
    """One unit of the softmax: a third of the common spread of scores around each image's mean."""
    squares = sum(
        float(((part - part.mean(axis=1, keepdims=True)) ** 2).sum()) for part in _chunks(scores.astype(np.float32))
    )
    return max(float(np.sqrt(squares / scores.size)), 1e-9) / 3


def _chunks(scores: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(scores), CHUNK):
        yield scores[start : start + CHUNK]


def _first_guesses(scores: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The best guess, int (N,), and its share of the scores, float (N,)."""
    shares = [1 / np.exp((part - part.max(axis=1, keepdims=True)) / unit).sum(axis=1) for part in _chunks(scores)]
    return scores.argmax(axis=1), np.concatenate(shares)


def _opinions(scores: np.ndarray, indices: np.ndarray, unit: float) -> Opinions:
    """Softmax of scores brought to a common spread, so that bars of margins and of logits can be compared.

    They show an order and a relation, not calibrated probabilities.
    """
    some = scores[indices].astype(np.float64)
    shares = np.exp((some - some.max(axis=1, keepdims=True)) / unit)
    shares /= shares.sum(axis=1, keepdims=True)
    # By the scores themselves: shares of surely wrong classes may all be 0. Of equal ones the lower class is first.
    order = np.argsort(-some, axis=1, kind="stable")[:, :GUESSES]
    return Opinions(order, np.round(100 * np.take_along_axis(shares, order, axis=1), 1))


def _picture(pool: Pool, index: int, shown: list[Result]) -> Picture:
    truth = int(pool.truths[index])
    guesses = {}
    for result in shown:
        said = pool.opinions[result.method.key]
        guesses[result.method.title] = [
            Guess(pool.classes[guess], float(percent), int(guess) == truth)
            for guess, percent in zip(said.classes[index], said.percent[index], strict=True)
        ]
    y, x = divmod(index, pool.columns)
    return Picture(x, y, pool.names[index], pool.classes[truth], guesses)
