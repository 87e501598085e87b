"""What a worker does: a shard of feature vectors, or a whole fit. Each leaves a file, which the next run finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import progress, settings
from pipeline.cross_validation.pool import Pool
from pipeline.curves.fitting import Fit, Measuring
from pipeline.curves.subsets import Labelled
from pipeline.data.contract import Split, load_split
from pipeline.data.pooled import Pooled
from pipeline.files import atomic, read_arrays
from pipeline.models.feature_vectors import describe
from pipeline.models.recipe import Recipe
from pipeline.settings import Augmentation, Compute
from pipeline.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from pipeline.robustness.asking import Asking

#: Dask starts its workers so that malloc gives back whatever is freed, and each temporary array costs fresh pages: then
#: Fisher vectors take twice as long. These are the limits that glibc's malloc comes to by itself in other processes.
AS_ELSEWHERE = 1 << 25, 1 << 26


@dataclass(frozen=True)
class ShardJob:
    """All shards of a split, as paths and small settings.

    Attributes:
        project: folder of params.yaml.
        recipe: of the feature.
        codebook: file of what it learned.
        images: file of the split's images, uint8 (N, H, W, 3).
        target: folder for shards.
        name: of the split.
        times, allowed, seed, palette: see augmentation.copies.Rows.
        training: whether vectors may be compressed; see Context.
    """

    project: str
    recipe: Recipe
    codebook: str
    images: str
    target: str
    name: str
    times: int
    allowed: Augmentation
    seed: int
    palette: list[list[float]] | None
    training: bool


@dataclass(frozen=True)
class FitJob:
    """One fit of a curve, or from another seed.

    Attributes:
        project: folder of params.yaml.
        step: what it is for; see Measuring.
        key: of the method.
        val_fraction: of the images that a fit has.
        fits: the fit, and before it those that it must know the choice of, which are finished.
    """

    project: str
    step: str
    key: str
    val_fraction: float
    fits: tuple[Fit, ...]


@dataclass(frozen=True)
class FoldJob:
    """One method in one fold of a cross-validation.

    Attributes:
        project: folder of params.yaml.
        key: of the method.
        number: of the fold.
    """

    project: str
    key: str
    number: int


@dataclass(frozen=True)
class ShowJob:
    """Changed test images for every model of a run.

    Attributes:
        project: folder of params.yaml.
        kept: where answers are kept, which tells this run's models and images from any others'.
    """

    project: str
    kept: str


def shard_file(target: Path, name: str, start: int) -> Path:
    """Where a shard lies until all are there."""
    return target / f"{name}-{start:010d}.npy"


def describe_shard(job: ShardJob, start: int, stop: int) -> int:
    """Write the vectors of some rows, and say how many."""
    from pipeline.augmentation.copies import Rows

    with in_project(job.project) as compute:
        images = np.load(job.images, mmap_mode="r")
        split = Split(job.name, images, np.zeros(len(images), np.int64), [])
        palette = None if job.palette is None else np.array(job.palette)
        rows = Rows(split, job.times, job.allowed, job.seed, palette)
        codebook = read_arrays(Path(job.codebook), "that wrote it")
        vectors = describe(job.recipe, codebook, rows.images(slice(start, stop)), compute, job.training)
        with atomic(shard_file(Path(job.target), job.name, start)) as file:
            np.save(file, vectors)
    return stop - start


def fit(job: FitJob, after: Any = None) -> None:
    """Fit and measure; what was found is kept where the client looks for it.

    Args:
        after: what must be finished before.
    """
    with in_project(job.project) as compute:
        chosen = settings.load().model_copy(update={"compute": compute})
        labelled = Labelled(Pooled.read(("train", "val")), job.val_fraction)
        measuring = Measuring.of(chosen, job.key, labelled, load_split("test"), job.step)
        larger: dict[str, Any] = {}
        for one in job.fits:
            larger = measuring.measure(one, larger)


def fit_in_fold(job: FoldJob) -> None:
    """Fit and measure; what was found is kept where the client looks for it."""
    from pipeline.cross_validation.fitting import fit_one

    with in_project(job.project) as compute:
        pool = Pool.read()
        assert pool is not None
        fit_one(settings.load().model_copy(update={"compute": compute}), pool, job.key, job.number)


def show(job: ShowJob, change: str | None, severity: int) -> None:
    """Ask every model, and keep what they say where the client looks for it.

    Args:
        change: its key; None: the images as they are.
    """
    with in_project(job.project) as compute:
        asking = _asking(job, compute)
        condition = (None if change is None else next(one for one in asking.changes if one.key == change)), severity
        asking.shown(condition, compute.worker_count, lambda count: None)


@lru_cache(maxsize=1)
def _asking(job: ShowJob, compute: Compute) -> Asking:
    """Models and images, which a worker reads once."""
    from pipeline.data.contract import load_manifest
    from pipeline.robustness.asking import Asking

    return Asking.of(settings.load().model_copy(update={"compute": compute}), load_manifest())


@contextmanager
def in_project(folder: str) -> Iterator[Compute]:
    """In the project's folder, silent, with the threads that this worker may use."""
    os.chdir(folder)
    progress.console.quiet = True
    keep_freed_memory(*AS_ELSEWHERE)
    yield settings.load().compute.model_copy(update={"backend": "threading", "scheduler": None, "workers": _threads()})


def _threads() -> int:
    from distributed import get_worker

    return int(get_worker().state.nthreads)
