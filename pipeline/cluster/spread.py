"""Hand out the shards of a feature, or the fits of a curve, and wait until their files are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline import progress, stopwatch
from pipeline.augmentation.copies import Rows
from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.tasks import FitJob, ShardJob, describe_shard, fit, shard_file
from pipeline.context import Codebook
from pipeline.curves.fitting import Fit, Measuring
from pipeline.features.extraction import SHARD
from pipeline.files import atomic, read_json, write_arrays, write_json
from pipeline.models.model import Advance
from pipeline.models.recipe import Recipe
from pipeline.parallel import slices
from pipeline.settings import Compute


class Elsewhere:
    """Vectors of splits that workers compute, shard by shard, in files beside one another."""

    def __init__(self, recipe: Recipe, codebook: Codebook, folder: Path) -> None:
        """folder: for shards, this one's alone; those that are there are not computed again."""
        self.recipe = recipe
        self.folder = folder
        self._codebook = folder / "codebook.npz"
        write_arrays(self._codebook, **codebook)

    def compute(self, splits: Mapping[str, Rows], compute: Compute, advance: Advance) -> dict[str, float]:
        """Seconds that each split took until all its shards were there."""
        with connected(compute) as workers:
            return {name: self._compute(workers, name, rows, advance) for name, rows in splits.items()}

    def vectors(self, name: str) -> Callable[[slice], np.ndarray]:
        """What gives the vectors of a shard."""
        return lambda part: np.load(shard_file(self.folder, name, part.start))

    def _compute(self, workers: Workers, name: str, rows: Rows, advance: Advance) -> float:
        job = self._job(workers, name, rows)
        kept = self.folder / f"seconds-{name}.json"
        before = float(read_json(kept, "that wrote it")) if kept.is_file() else 0.0  # of runs that were interrupted
        started = stopwatch.seconds()

        def done(count: int) -> None:
            advance(count)
            write_json(kept, before + stopwatch.seconds() - started)

        futures = []
        for part in slices(len(rows), SHARD):
            if shard_file(self.folder, name, part.start).is_file():
                advance(part.stop - part.start)
            else:
                futures.append(workers.submit(describe_shard, job, part.start, part.stop))
        if failed := workers.gather(futures, done):
            raise failed[0]
        return before + stopwatch.seconds() - started

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
