"""A feature, made by hand or learned from other images, and the linear SVM behind it.

Codebook → vectors → classifier, each step by itself or all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from pipeline.classifiers.fitting import fit_svm, refit_svm
from pipeline.classifiers.linear_svm import LinearSVM
from pipeline.classifiers.products import Products
from pipeline.classifiers.vectors import Dense, Joined, Scaling, Vectors, finite, open_vectors
from pipeline.context import Codebook
from pipeline.data.contract import TrainingData
from pipeline.device import device_name, pick_device
from pipeline.errors import PipelineError
from pipeline.features.extraction import SHARD, Shards
from pipeline.models.familiarity import Familiarity
from pipeline.models.feature_vectors import describe, extract, learn_codebook
from pipeline.models.fitted import Fitted
from pipeline.models.model import Facts, Model, Seen, with_prefix, without_prefix
from pipeline.models.recipe import Recipe
from pipeline.models.space import CHUNK, Space, some_rows
from pipeline.parallel import slices
from pipeline.settings import Compute


@dataclass(frozen=True)
class FeatureSvm(Model):
    """A feature with its codebook, and the SVM behind it.

    Attributes:
        recipe: the feature's settings, and how many views of an image are scored.
        codebook: what the feature learned from train.
        svm: of its vectors.
        compute: where.
    """

    recipe: Recipe
    codebook: Codebook
    svm: LinearSVM
    compute: Compute
    batch: ClassVar[int] = SHARD

    def see(self, images: np.ndarray) -> Seen:
        """See Model; scores of two views of an image are averaged, and its embedding is the feature of the first."""
        views = [images, np.ascontiguousarray(images[:, :, ::-1])][: self.recipe.views]
        device, workers = pick_device(self.compute.device), self.compute.worker_count
        vectors = [self.vectors(view) for view in views]
        found = [self.svm.scores(Dense(one), device, workers) for one in vectors]
        scores = np.asarray(np.stack(found).mean(axis=0)) if len(found) > 1 else found[0]
        return Seen(scores, np.asarray(vectors[0], np.float32))

    def vectors(self, images: np.ndarray) -> np.ndarray:
        """The feature of each image, float32 or float16 (n, D)."""
        return describe(self.recipe, self.codebook, images, self.compute)

    def arrays(self) -> dict[str, np.ndarray]:
        """Codebook, weights, and how vectors are scaled."""
        scaling = self.svm.scaling
        own = {"weights": self.svm.weights, "bias": self.svm.bias, "mean": scaling.mean}
        return with_prefix("codebook", self.codebook) | with_prefix("svm", own | {"scale": np.array([scaling.scale])})

    def facts(self) -> Facts:
        """Numbers of the codebook count as fitted, too."""
        return Facts(
            bytes=self.nbytes,
            parameters=self.svm.weights.size + self.svm.bias.size + self.codebook_numbers,
            multiply_adds=None,
            device=device_name(pick_device(self.compute.device)),
            precision="fp32",
            threads=self.compute.worker_count,
            views=self.recipe.views,
        )

    @property
    def codebook_numbers(self) -> int:
        """How many numbers were learned before the SVM; bytes that say how a network is built are none."""
        return sum(values.size for values in self.codebook.values() if values.dtype.kind == "f")


def restore(recipe: Recipe, arrays: dict[str, np.ndarray], card: Any, compute: Compute) -> FeatureSvm:
    """A model from what `arrays` gave.

    Raises:
        KeyError, ValueError: an array is missing, or they don't belong together.
    """
    svm = without_prefix("svm", arrays)
    classes, dimensions = svm["weights"].shape
    if svm["bias"].shape != (classes,) or svm["mean"].shape != (dimensions,) or classes != len(card.classes):
        raise ValueError("the SVM's arrays are of different sizes")
    unknown = np.full(classes, np.nan)
    fitted = LinearSVM(
        svm["weights"], svm["bias"], Scaling(svm["mean"], float(svm["scale"][0])), unknown, unknown, float("nan")
    )
    return FeatureSvm(recipe, without_prefix("codebook", arrays), fitted, compute)


# ---------------------------------------------------------------------------------------------------- fitting


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Codebook, vectors and SVM, one after the other.

    Args:
        work: an empty folder for the vectors of train and val, which need not fit in memory.
    """
    learned = learn(recipe, data, compute, work)
    return fit_classifier(recipe, learned.codebook, learned.vectors, data, compute, learned.seconds)


@dataclass(frozen=True)
class Learned:
    """What the classifier learns from.

    Attributes:
        codebook: what the feature learned from train.
        vectors: of train and val.
        seconds: that they took.
    """

    codebook: Codebook
    vectors: dict[str, Vectors]
    seconds: float


def learn(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Learned:
    """Codebook and vectors; see `fit`."""
    codebook, learned = learn_codebook(recipe, data, compute)
    cost = extract(recipe, codebook, data, compute, Shards(work / "shards"), work / "vectors")
    vectors = {name: open_vectors(work / "vectors" / f"{name}.npy", codebook) for name in ("train", "val")}
    return Learned(codebook, vectors, learned + cost)


def fit_classifier(
    recipe: Recipe,
    codebook: Codebook,
    vectors: dict[str, Vectors],
    data: TrainingData,
    compute: Compute,
    seconds_before: float,
) -> Fitted:
    """The SVM, its C and when to stop chosen on val; with `refit` it then learns from val, too.

    Args:
        vectors: of train and val, as `extract` left them.
        seconds_before: what codebook and vectors took.

    Raises:
        PipelineError: the vectors are of other images, or hold NaN.
    """
    splits = {"train": data.train, "val": data.val}
    for name, found in vectors.items():
        _check(found.shape, vectors["train"].shape[1], len(splits[name]), recipe.key, name)
    device, workers = pick_device(compute.device), compute.worker_count
    classes, views = len(data.classes), vectors["val"].shape[0] // len(data.val)
    started = time.perf_counter()
    scaling = Scaling.of(vectors["train"], workers)
    _must_be_finite(recipe.key, scaling, vectors["val"])

    def val_scores(model: LinearSVM) -> np.ndarray:
        """Averaged over the views of each image."""
        found = model.scores(vectors["val"], device, workers)
        return np.asarray(found.reshape(views, len(data.val), classes).mean(axis=0))

    labels = np.tile(data.train.labels, vectors["train"].shape[0] // len(data.train))
    with _multiplier(recipe.key, vectors["train"], scaling, device, compute) as multiply:
        svm, trials = fit_svm(
            f"svm {recipe.key}", vectors["train"], labels, classes, recipe.settings.svm, val_scores, data.val.labels,
            scaling, device, workers, multiply,
        )  # fmt: skip
    scores = val_scores(svm)
    if recipe.refit:
        svm = _refit(recipe, vectors, labels, data, trials, device, workers)
    seconds = seconds_before + time.perf_counter() - started
    familiarity, strangeness = _familiarity(recipe, vectors, len(data.train), scores)
    return Fitted(FeatureSvm(recipe, codebook, svm, compute), scores, familiarity, strangeness, trials, seconds)


def _refit(
    recipe: Recipe,
    vectors: dict[str, Vectors],
    labels: np.ndarray,
    data: TrainingData,
    trials: list[dict[str, Any]],
    device: torch.device,
    workers: int,
) -> LinearSVM:
    """From train and val together, as was chosen; of val every view is an image."""
    both = Joined(vectors["train"], vectors["val"])
    of_val = np.tile(data.val.labels, vectors["val"].shape[0] // len(data.val))
    return refit_svm(
        f"svm {recipe.key} on train and val", both, np.concatenate([labels, of_val]), len(data.classes),
        recipe.settings.svm, trials, Scaling.of(both, workers), device, workers,
    )  # fmt: skip


@contextmanager
def _multiplier(
    key: str, train: Vectors, scaling: Scaling, device: torch.device, compute: Compute
) -> Iterator[Products | None]:
    """Dask's workers, where `compute` says so and the vectors are many; None: this process."""
    if compute.backend != "dask" or device.type != "cpu":
        yield None
        return
    from pipeline.cluster.products import WORTH, products_elsewhere, stored_at

    if train.shape[0] * train.shape[1] < WORTH or stored_at(train) is None:
        yield None
        return
    with products_elsewhere(key, train, scaling, compute) as found:
        yield found


def _familiarity(
    recipe: Recipe, vectors: dict[str, Vectors], count: int, val_scores: np.ndarray
) -> tuple[Familiarity, np.ndarray]:
    """From vectors of some training images, and of all of val, without copies and mirror images."""
    cpu = pick_device("cpu")
    rows = some_rows(count, vectors["train"].shape[1], recipe.seed)
    some = vectors["train"].some(rows)
    space = Space.of(some.rows(slice(0, len(rows)), cpu).numpy(), recipe.seed)
    return Familiarity.of(
        space,
        (
            Seen(val_scores[part], vectors["val"].rows(part, cpu).numpy())
            for part in slices(len(val_scores), min(SHARD, CHUNK))
        ),
    )


def _check(shape: tuple[int, int], dimension: int, images: int, key: str, split: str) -> None:
    if shape[1] != dimension or shape[0] % images or not shape[0]:
        raise PipelineError(
            f"features/{key}/{split}.npy: has the shape {shape}, which belongs to other images or settings; "
            f"rerun the stage features@{key}"
        )


def _must_be_finite(key: str, scaling: Scaling, val: Vectors) -> None:
    for name, good in (("train", scaling.finite), ("val", finite(val))):  # of train the scaling has read all
        if not good:
            raise PipelineError(
                f"features/{key}/{name}.npy: holds NaN or infinite numbers; rerun the stage features@{key}"
            )
