"""Folds for cross-validation: each image is in one, which is its turn to be test. For sets of a few hundred images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.data.packing import Packed
from pipeline.data.sources import Source
from pipeline.errors import PipelineError
from pipeline.files import write_arrays
from pipeline.randomness import seed_for
from pipeline.settings import Prepare, Settings

AUTO_BELOW = 500  # images of all splits together: fewer are cross-validated without being asked
AUTO_FOLDS = 5
LEAVE = 2  # units of each class outside every fold: one for train, one for val


@dataclass(frozen=True)
class Folds:
    """What was drawn for all splits together, in their order.

    Attributes:
        count: how many folds; 0: none were drawn, and nothing is written.
        drawn: the fold of each image, int64 (N,).
        notes: what the report says about it.
    """

    count: int = 0
    drawn: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    notes: tuple[str, ...] = ()

    def write(self, splits: Mapping[str, Packed], folder: Path) -> None:
        """Write each split's part beside its images."""
        if not self.count:
            return
        start = 0
        for name, split in splits.items():
            part = slice(start, start + len(split.ids))
            write_arrays(folder / name / "folds.npz", folds=self.drawn[part])
            start = part.stop


def together_in(source: Source, splits: Mapping[str, Packed]) -> np.ndarray:
    """What must not be torn apart when images are drawn, int64 (N,), for all splits in their order; see `units`."""
    content = np.concatenate([split.signatures.content for split in splits.values()])
    groups = _groups(source)
    return units(content, None if groups is None else [groups[name] for split in splits.values() for name in split.ids])


def fold_all(settings: Settings, source: Source, splits: Mapping[str, Packed], together: np.ndarray) -> Folds:
    """Draw the folds that params.yaml asks for over all splits.

    Args:
        together: of `together_in`.

    Raises:
        PipelineError: a number of folds is set which these images do not allow. `auto` says so and draws none.
    """
    chosen = settings.prepare
    count = wanted(chosen, sum(len(split.ids) for split in splits.values()), "test" in source.parts)
    if not count:
        return Folds()
    labels = np.concatenate([split.labels for split in splits.values()])
    try:
        return Folds(count, draw(labels, together, count, settings.seed, source.classes))
    except PipelineError as error:
        if chosen.folds != "auto":
            raise
        return Folds(notes=(f"The images were not cross-validated: {error}.",))


def _groups(source: Source) -> dict[str, str] | None:
    """The group of each image by its name; None where there are none."""
    found: dict[str, str] = {}
    for part in source.parts.values():
        if part.groups is None:
            return None
        found.update(zip(part.ids, part.groups, strict=True))
    return found


def wanted(chosen: Prepare, images: int, brings_test: bool) -> int:
    """How many folds; 0: none.

    `auto` leaves a test set alone that a data set brings: what others measured on it is to be compared with.

    Args:
        images: of all splits together.
        brings_test: whether the data set itself says which images are test.
    """
    if chosen.folds != "auto":
        return chosen.folds
    return AUTO_FOLDS if images < AUTO_BELOW and not brings_test else 0


def units(content: np.ndarray, groups: Sequence[str] | None) -> np.ndarray:
    """What must stay together: images of one group, and exact copies, int (N,).

    Args:
        content: of each image, what is equal for copies (N,).
        groups: of each image; None: there are none.
    """
    marks = [np.unique(content, return_inverse=True)[1]]
    if groups is not None:
        marks.append(np.unique(np.array(groups), return_inverse=True)[1])
    count = len(content)
    image = np.tile(np.arange(count), len(marks))
    offset = np.cumsum([count, *(int(mark.max(initial=-1)) + 1 for mark in marks)])
    mark = np.concatenate([found + start for found, start in zip(marks, offset[:-1], strict=True)])
    nodes = int(offset[-1])
    joined = coo_matrix((np.ones(len(image), bool), (image, mark)), shape=(nodes, nodes))
    found: np.ndarray = connected_components(joined, directed=False)[1][:count]
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def draw(labels: np.ndarray, together: np.ndarray, folds: int, seed: int, classes: list[str]) -> np.ndarray:
    """The fold of every image, int64 (N,): whole units, and in each fold about the same share of every class.

    scikit-learn's StratifiedGroupKFold draws them.

    Args:
        labels: int (N,).
        together: of `units`, int (N,).

    Raises:
        PipelineError: a class has too few images to be in train and val beside every fold.
    """
    names = f"{folds} folds (`prepare.folds`)"
    for label, name in enumerate(classes):
        if (count := len(np.unique(together[labels == label]))) <= LEAVE:
            raise PipelineError(f"class {name!r} has {count} different images or groups, too few for {names}; add some")
    if folds > min(len(np.unique(together)), np.bincount(labels).max()):
        raise PipelineError(f"{names} are more than the largest class has images; set fewer, or 0 for none")
    drawn = np.zeros(len(labels), np.int64)
    seeded = seed_for(seed, "folds") % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer images than folds: they are in some folds
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=seeded).split(labels, labels, together)
        for number, (_, test) in enumerate(split):
            drawn[test] = number
    for number in range(folds):
        inside = drawn == number
        if not inside.any():
            raise PipelineError(f"{names} can't be filled, since groups are too large; set fewer, or 0 for none")
        for label, name in enumerate(classes):
            if len(np.unique(together[(labels == label) & ~inside])) < LEAVE:
                raise PipelineError(
                    f"class {name!r} has images of too few groups outside one of the {names}; set fewer folds, 0 for "
                    "none, or add images of other groups"
                )
    return drawn
