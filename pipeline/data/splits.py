"""Which image belongs to train, val and test: given splits are kept, missing ones are drawn by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import PipelineError
from pipeline.randomness import generator


@dataclass(frozen=True)
class Assignment:
    """Where a split's images come from: `indices` (sorted) into the source's `part`."""

    part: str
    indices: np.ndarray


def assign(
    labels: Mapping[str, np.ndarray],
    classes: list[str],
    val_fraction: float,
    test_fraction: float,
    train_limit: int | None,
    seed: int,
    groups: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Assignment]:
    """Make train, val and test out of a source's parts.

    A given test is kept. Where only train and val are given (ImageNet publishes no test labels), val serves as test.
    val always comes out of train, unless train, val and test are all given.

    Args:
        labels: for each part ("all", or "train" and what else is given) its labels, int64 (N,).
        train_limit: keep only that many images of train, a stratified draw.
        groups: for each part the group of every image, integers (N,); what is drawn is drawn in whole groups.

    Raises:
        PipelineError: a class has too few images to be in every split.
    """
    given = {part: np.arange(len(part_labels)) for part, part_labels in labels.items()}
    _check_classes(labels, classes)
    first = "all" if "all" in given else "train"
    rest = given[first]

    def draw(fraction: float, purpose: str, leave: int) -> np.ndarray:
        random = generator(seed, purpose)
        if groups is None:
            return stratified(labels[first][rest], fraction, random, classes, leave)
        return in_groups(labels[first][rest], groups[first][rest], fraction, random, classes, leave)

    splits: dict[str, Assignment] = {}
    if "test" in given:
        splits["test"] = Assignment("test", given["test"])
    elif "val" in given:
        splits["test"] = Assignment("val", given["val"])
    else:
        drawn = draw(test_fraction, "split test", leave=2)
        splits["test"] = Assignment(first, rest[drawn])
        rest = rest[~drawn]
    if "val" in given and "test" in given:
        splits["val"] = Assignment("val", given["val"])
    else:
        drawn = draw(val_fraction, "split val", leave=1)
        splits["val"] = Assignment(first, rest[drawn])
        rest = rest[~drawn]
    if train_limit is not None and train_limit < len(rest):
        fraction = train_limit / len(rest)
        rest = rest[stratified(labels[first][rest], fraction, generator(seed, "train limit"), classes, leave=0)]
    splits["train"] = Assignment(first, rest)
    return {name: splits[name] for name in ("train", "val", "test")}


def stratified(
    labels: np.ndarray, fraction: float, random: np.random.Generator, classes: list[str], leave: int = 1
) -> np.ndarray:
    """Draw a fraction of each class, at least one image, and leave at least `leave`.

    The classes' shares are rounded so that their sum is the rounded total (largest remainders first).

    Returns:
        bool (N,): drawn or not.
    """
    counts = np.bincount(labels, minlength=len(classes))
    exact = counts * fraction
    shares = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    drawn = np.zeros(len(labels), bool)
    for label in range(len(classes)):
        members = np.flatnonzero(labels == label)
        if len(members) <= leave:
            raise PipelineError(
                f"class {classes[label]!r} has too few images to be in train, val and test; "
                "give it at least three, or remove it"
            )
        share = min(max(shares[label], 1), len(members) - leave)
        drawn[random.permutation(members)[:share]] = True
    return drawn


def in_groups(
    labels: np.ndarray,
    groups: np.ndarray,
    fraction: float,
    random: np.random.Generator,
    classes: list[str],
    leave: int = 1,
) -> np.ndarray:
    """Draw whole groups, about a fraction of each class, at least one group of it, and leave at least `leave`.

    Groups are tried from the most uneven one on, those alike in random order, and each is drawn that brings the drawn
    shares of the classes closer to the fraction (the greedy rule of scikit-learn's StratifiedGroupKFold).

    Args:
        labels: integers (N,).
        groups: integers (N,).

    Returns:
        bool (N,): drawn or not.

    Raises:
        PipelineError: the images of a class are of too few groups.
    """
    _, members = np.unique(groups, return_inverse=True)
    counts = np.zeros((members.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(counts, (members, labels), 1)
    spare = (counts > 0).sum(axis=0) - leave  # groups of each class that may be drawn
    if (spare < 1).any():
        raise PipelineError(
            f"class {classes[int(spare.argmin())]!r} has images of too few groups to be in train, val and test without "
            "sharing one; give it images of at least three groups, or remove it"
        )
    shuffled = random.permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled].std(axis=1), kind="stable")]
    total = np.maximum(counts.sum(axis=0), 1)
    missing = total * fraction  # images of each class
    drawn = np.zeros(len(counts), bool)
    for group in order:
        after = missing - counts[group]
        has = counts[group] > 0
        if (spare[has] > 0).all() and np.square(after / total).sum() < np.square(missing / total).sum():
            drawn[group], missing = True, after
            spare[has] -= 1
    for label in np.flatnonzero(counts[drawn].sum(axis=0) == 0):
        fits = [group for group in order if counts[group, label] and (spare[counts[group] > 0] > 0).all()]
        if not fits:
            raise PipelineError(
                f"the groups of class {classes[int(label)]!r} can't be shared out over train, val and test, since "
                "they hold the only images of other classes; give it images of more groups"
            )
        smallest = min(fits, key=lambda group: int(counts[group].sum()))
        drawn[smallest] = True
        spare[counts[smallest] > 0] -= 1
    return drawn[members]


def _check_classes(labels: Mapping[str, np.ndarray], classes: list[str]) -> None:
    if len(classes) < 2:
        raise PipelineError(f"the data set has one class only ({', '.join(classes)}); at least two are needed")
    for part, part_labels in labels.items():
        empty = np.flatnonzero(np.bincount(part_labels, minlength=len(classes)) == 0)
        if len(empty) and part in ("all", "train"):
            raise PipelineError(f"class {classes[empty[0]]!r} has no image in {part}; add some, or remove the class")
