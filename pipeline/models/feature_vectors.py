"""From images to feature vectors on disk: what a feature learns first, and how it describes train and val."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from pipeline import progress
from pipeline.context import Codebook, Context
from pipeline.data.contract import TrainingData
from pipeline.features.extraction import Shards
from pipeline.models.model import Advance, quiet
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute
from pipeline.workfolder import work_folder

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
    with progress.bar(f"codebook {recipe.key}", len(images)) as bar:
        context = Context(recipe.seed, compute.worker_count, compute.joblib, bar.advance)
        codebook: Codebook = recipe.method.load().fit(images, recipe.settings.features, context)
    return codebook, time.perf_counter() - started


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
    seconds = {}
    with progress.bar(f"features {recipe.key}", sum(len(images) for images in rows.values())) as bar:
        if compute.backend == "dask":
            from pipeline.cluster.spread import Elsewhere

            elsewhere = Elsewhere(recipe, codebook, shards.folder / "elsewhere")
            seconds = elsewhere.compute(rows, compute, bar.advance)
            for name, images in rows.items():
                shards.write(name, elsewhere.vectors(name), len(images), lambda count: None)
            shards.publish(target, list(rows))
            return seconds["train"]
        for name, images in rows.items():

            def vectors(part: slice, name: str = name, images: Rows = images) -> np.ndarray:
                return describe(recipe, codebook, images.images(part), compute, training=name == "train")

            seconds[name] = shards.write(name, vectors, len(images), bar.advance)
    shards.publish(target, list(rows))
    return seconds["train"]


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
