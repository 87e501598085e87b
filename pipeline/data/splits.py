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
) -> dict[str, Assignment]:
    """Make train, val and test out of a source's parts.

    A given test is kept. Where only train and val are given (ImageNet publishes no test labels), val serves as test.
    val always comes out of train, unless train, val and test are all given.

    Args:
        labels: for each part ("all", or "train" and what else is given) its labels, int64 (N,).
        train_limit: keep only that many images of train, a stratified draw.

    Raises:
        PipelineError: a class has too few images to be in every split.
    """
    given = {part: np.arange(len(part_labels)) for part, part_labels in labels.items()}
    _check_classes(labels, classes)
    first = "all" if "all" in given else "train"
    rest = given[first]
    splits: dict[str, Assignment] = {}
    if "test" in given:
        splits["test"] = Assignment("test", given["test"])
    elif "val" in given:
        splits["test"] = Assignment("val", given["val"])
    else:
        drawn = stratified(labels[first][rest], test_fraction, generator(seed, "split test"), classes, leave=2)
        splits["test"] = Assignment(first, rest[drawn])
        rest = rest[~drawn]
    if "val" in given and "test" in given:
        splits["val"] = Assignment("val", given["val"])
    else:
        drawn = stratified(labels[first][rest], val_fraction, generator(seed, "split val"), classes)
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


def _check_classes(labels: Mapping[str, np.ndarray], classes: list[str]) -> None:
    if len(classes) < 2:
        raise PipelineError(f"the data set has one class only ({', '.join(classes)}); at least two are needed")
    for part, part_labels in labels.items():
        empty = np.flatnonzero(np.bincount(part_labels, minlength=len(classes)) == 0)
        if len(empty) and part in ("all", "train"):
            raise PipelineError(f"class {classes[empty[0]]!r} has no image in {part}; add some, or remove the class")
