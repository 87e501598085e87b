"""Hand out the shards of a feature, or the fits of a curve, and wait until their files are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import progress
from pipeline.augmentation.copies import Rows
from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.products import read_shared
from pipeline.cluster.tasks import (
    FitJob,
    FoldJob,
    ShardJob,
    ShowJob,
    describe_shard,
    fit,
    fit_in_fold,
    shard_file,
    show,
)
from pipeline.context import Codebook
from pipeline.curves.fitting import Fit, Measuring
from pipeline.features.extraction import SHARD
from pipeline.files import atomic, write_arrays
from pipeline.models.recipe import Recipe
from pipeline.parallel import slices
from pipeline.settings import Compute

if TYPE_CHECKING:
    from distributed import Future

    from pipeline.robustness.asking import Asking
    from pipeline.robustness.measuring import Condition


class Elsewhere:
    """Vectors of splits that workers compute, shard by shard, each in a file until it is joined to the others."""

    def __init__(self, workers: Workers, recipe: Recipe, codebook: Codebook, folder: Path) -> None:
        """folder: for shards, this one's alone; those that are there are not computed again."""
        self.recipe = recipe
        self.folder = folder
        self._workers = workers
        self._futures: dict[tuple[str, int], Future] = {}
        self._codebook = folder / "codebook.npz"
        write_arrays(self._codebook, **codebook)

    def hand_out(self, name: str, rows: Rows, joined: int) -> None:
        """Give the shards of a split to the workers, but for those that are there, or joined already.

        Args:
            joined: rows that are.
        """
        job = self._job(self._workers, name, rows)
        for part in slices(len(rows), SHARD):
            if part.stop > joined and not shard_file(self.folder, name, part.start).is_file():
                task = self._workers.submit(describe_shard, job, part.start, part.stop)
                self._futures[name, part.start] = task

    def vectors(self, name: str) -> Callable[[slice], np.ndarray]:
        """What waits for a shard and gives its vectors; the file of the one before, which is joined then, goes."""
        before: Path | None = None

        def wait(part: slice) -> np.ndarray:
            nonlocal before
            future = self._futures.pop((name, part.start), None)
            if future is not None and (failed := self._workers.gather([future], lambda count: None)):
                raise failed[0]
            if before is not None:
                before.unlink(missing_ok=True)
            before = shard_file(self.folder, name, part.start)
            return read_shared(before)

        return wait

    def _job(self, workers: Workers, name: str, rows: Rows) -> ShardJob:
        palette = None if rows.palette is None else rows.palette.tolist()
        return ShardJob(
            str(workers.project),
            self.recipe,
            str(self._codebook.resolve()),
            str(self._images(name, rows).resolve()),
            str(self.folder.resolve()),
            name,
            rows.times,
            rows.allowed,
            rows.seed,
            palette,
            name == "train",
        )

    def _images(self, name: str, rows: Rows) -> Path:
        """The file of a split's images; those that are in memory alone are written to one."""
        images = rows.split.images
        if isinstance(images, np.memmap) and images.filename is not None and images.base is not None:
            whole = np.load(images.filename, mmap_mode="r")
            if whole.shape == images.shape:
                return Path(images.filename)
        path = self.folder / f"images-{name}.npy"
        with atomic(path) as file:
            np.save(file, images)
        return path


def fit_side_by_side(measuring: Measuring, fits: Sequence[Fit]) -> None:
    """Let workers make the fits of one method, several at once; each is kept where `measured` then finds it.

    A fit that fails is left to `measured`, which says why.

    Args:
        fits: of each seed the largest first.
    """
    compute = measuring.settings.compute
    with connected(compute) as workers, progress.bar(f"{measuring.step} {measuring.key}", len(fits), "fits") as bar:
        futures: list[object] = []
        for number, one in enumerate(fits):
            first = number
            while not fits[first].tuned:  # it needs to know what the larger one chose
                first -= 1
            job = FitJob(
                str(workers.project),
                measuring.step,
                measuring.key,
                measuring.labelled.val_fraction,
                tuple(fits[first : number + 1]),
            )
            futures.append(workers.submit(fit, job, *([] if one.tuned else futures[-1:])))
        failed = workers.gather(futures, lambda nothing: bar.advance())  # type: ignore[arg-type]
        bar.advance(len(failed))


def folds_side_by_side(compute: Compute, wanted: Sequence[tuple[str, int]]) -> None:
    """Let workers make the fits of a cross-validation; each is kept where `cross_validate` then finds it.

    A fit that fails is left to `cross_validate`, which says why.

    Args:
        wanted: methods and folds; those that are kept already take a worker no time.
    """
    with connected(compute) as workers, progress.bar("folds", len(wanted), "fits") as bar:
        jobs = [FoldJob(str(workers.project), key, number) for key, number in wanted]
        failed = workers.gather([workers.submit(fit_in_fold, job) for job in jobs], lambda nothing: bar.advance())
        bar.advance(len(failed))


def show_side_by_side(compute: Compute, asking: Asking, asked: Sequence[Condition]) -> None:
    """Let workers ask the models about changed images, several changes at once; what is kept already is not asked.

    A change that fails is left to `shown`, which says why.

    Args:
        asked: the changes, and how severe they are.
    """
    missing = [one for one in asked if asking.kept.read(one, list(asking.stored)) is None]
    if not missing:
        return
    with connected(compute) as workers, progress.bar("robustness", len(missing), "changes") as bar:
        job = ShowJob(str(workers.project), str(asking.kept.folder))
        futures = [
            workers.submit(show, job, None if change is None else change.key, severity) for change, severity in missing
        ]
        failed = workers.gather(futures, lambda nothing: bar.advance())
        bar.advance(len(failed))
