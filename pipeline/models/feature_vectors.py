"""From images to feature vectors on disk: what a feature learns first, and how it describes train and val."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import progress, stopwatch
from pipeline.context import Codebook, Context
from pipeline.data.contract import TrainingData
from pipeline.features.extraction import Shards
from pipeline.models.model import Advance, quiet
from pipeline.models.recipe import Recipe
from pipeline.passes import Passes
from pipeline.settings import Compute
from pipeline.workfolder import work_folder

if TYPE_CHECKING:
    from pipeline.augmentation.copies import Rows

#: What vectors depend on, beside this file.
CODE = ("augmentation", "descriptors", "encoding", "features", "randomness.py")


def describe(
    recipe: Recipe,
    codebook: Codebook,
    images: np.ndarray,
    compute: Compute,
    training: bool = False,
    advance: Advance = quiet,
) -> np.ndarray:
    """The feature of images, (n, D); see features.base.Feature.transform."""
    context = Context(recipe.seed, compute.worker_count, compute.joblib, advance, training, compute.device)
    found: np.ndarray = recipe.method.load().transform(images, recipe.settings.features, codebook, context)
    return found


def learn_codebook(recipe: Recipe, data: TrainingData, compute: Compute) -> tuple[Codebook, float]:
    """What the feature must learn from train first, and the seconds that it took; {} for most."""
    started = time.perf_counter()
    images = data.train.images
    with progress.bar(f"codebook {recipe.key}", len(images)) as bar, _elsewhere(recipe.key, compute) as elsewhere:
        context = Context(
            recipe.seed, compute.worker_count, compute.joblib, bar.advance, device=compute.device, elsewhere=elsewhere
        )
        codebook: Codebook = recipe.method.load().fit(images, recipe.settings.features, context)
    return codebook, time.perf_counter() - started


@contextmanager
def _elsewhere(key: str, compute: Compute) -> Iterator[Passes | None]:
    """Dask's workers, for long passes; None: this machine alone."""
    if compute.backend != "dask":
        yield None
        return
    from pipeline.cluster.passes import PassesElsewhere

    with PassesElsewhere(key, compute) as elsewhere:
        yield elsewhere


def extract(
    recipe: Recipe, codebook: Codebook, data: TrainingData, compute: Compute, shards: Shards, target: Path
) -> float:
    """Write the vectors of train, with its augmented copies, and of val to `target`; seconds that train's took.

    A killed run goes on after its last finished shard.
    """
    from pipeline.augmentation.copies import Rows  # PyTorch takes seconds to import, and only this needs it

    rows = {
        "train": Rows.of_train(data.train, recipe.copies, recipe.allowed, recipe.seed),
        "val": Rows.of_views(data.val, recipe.views),
    }
    # Kernels compile on their first use; that is no cost of the method.
    describe(recipe, codebook, rows["train"].images(slice(0, 2)), compute)
    with progress.bar(f"features {recipe.key}", sum(len(images) for images in rows.values())) as bar:
        if compute.backend == "dask":
            seconds = _extract_elsewhere(recipe, codebook, rows, compute, shards, bar.advance)
        else:
            seconds = {
                name: shards.write(name, _vectors(recipe, codebook, name, images, compute), len(images), bar.advance)
                for name, images in rows.items()
            }
    shards.publish(target, list(rows))
    return seconds["train"]


def _vectors(
    recipe: Recipe, codebook: Codebook, name: str, images: Rows, compute: Compute
) -> Callable[[slice], np.ndarray]:
    return lambda part: describe(recipe, codebook, images.images(part), compute, training=name == "train")


def _extract_elsewhere(
    recipe: Recipe, codebook: Codebook, rows: dict[str, Rows], compute: Compute, shards: Shards, advance: Advance
) -> dict[str, float]:
    """By Dask's workers, while this process joins what is there; seconds from the first shard of a split to its last.

    Joining counts, since workers go on meanwhile, and so do the seconds of interrupted runs.
    """
    from pipeline.cluster.connection import connected
    from pipeline.cluster.spread import Elsewhere

    seconds = {}
    with connected(compute) as workers:
        elsewhere = Elsewhere(workers, recipe, codebook, shards.folder / "elsewhere")
        for name, images in rows.items():
            elsewhere.hand_out(name, images, shards.finished(name, len(images)))
        for name, images in rows.items():
            watch = stopwatch.Kept(shards.folder / "elsewhere" / f"seconds-{name}.json")

            def note(count: int, watch: stopwatch.Kept = watch) -> None:
                advance(count)
                watch.keep()

            shards.write(name, elsewhere.vectors(name), len(images), note)
            seconds[name] = watch.seconds
    return seconds


def extraction_work(recipe: Recipe, codebook: Codebook, data: TrainingData, compute: Compute) -> Path:
    """Where a killed extraction leaves its shards: another folder for whatever leads to other vectors."""
    code = Path(__file__).parents[1]
    return work_folder(
        f"features-{recipe.key}",
        [Path(__file__), *(code / name for name in CODE)],
        parameters=recipe.settings.features.model_dump(),
        splits=data.fingerprint,
        codebook={name: [list(values.shape), float(values.sum())] for name, values in codebook.items()},
        copies=recipe.copies,
        views=recipe.views,
        augmentation=recipe.allowed.model_dump(),
        seed=recipe.seed,
        device=compute.device,
    )
