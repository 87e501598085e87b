"""An SVM's products with vectors on disk, group of rows by group of rows, by Dask's workers.

A solver needs nothing of its training vectors but products with a few directions. The directions of each product are
written to files, every worker reads them, decodes the rows of its groups and leaves what they give, and the client adds
that up in the order in which one machine adds it up: the same bytes.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np

from pipeline import layout
from pipeline.classifiers.products import ByGroups, CpuProducts, Part
from pipeline.classifiers.vectors import Coded, Dense, Scaling, Vectors, open_vectors
from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.tasks import AS_ELSEWHERE
from pipeline.errors import PipelineError
from pipeline.files import atomic, read_arrays, write_arrays
from pipeline.parallel import slices
from pipeline.settings import Compute
from pipeline.training.memory import keep_freed_memory

WORTH = 1 << 29  # numbers: a product of fewer vectors is done before workers have been told of it
TASKS = 2  # for each worker and product
SCALING, CENTROIDS = "scaling.npz", "centroids.npz"
GIVES = {"forward": ("forward",), "backward": ("sums",), "normal": ("forward", "sums")}  # see Part


@dataclass(frozen=True)
class ProductJob:
    """Some groups of rows of one product, as paths.

    Attributes:
        vectors: file of all rows.
        folder: where SCALING and CENTROIDS lie.
        own: folder of this product: its arrays are 0.npy, 1.npy …; what groups give goes there too.
        what: see ByGroups.parts.
        arrays: how many there are.
        groups: first row and the one behind the last.
    """

    vectors: str
    folder: str
    own: str
    what: str
    arrays: int
    groups: tuple[tuple[int, int], ...]


def stored_at(vectors: Vectors) -> Path | None:
    """The file that holds all of these vectors and no others; None where there is none."""
    array = vectors.array if isinstance(vectors, Dense) else vectors.codes if isinstance(vectors, Coded) else None
    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    whole = np.load(array.filename, mmap_mode="r", allow_pickle=False)
    return Path(array.filename) if whole.shape == array.shape and whole.dtype == array.dtype else None


@contextmanager
def products_elsewhere(key: str, vectors: Vectors, scaling: Scaling, compute: Compute) -> Iterator[ByGroups]:
    """Products that workers compute.

    Args:
        key: of the method, for the folder.
        vectors: that `stored_at` knows a file of.

    Raises:
        PipelineError: see `connected`.
    """
    path = stored_at(vectors)
    assert path is not None
    above = layout.WORK / "products" / key
    shutil.rmtree(above, ignore_errors=True)  # of a run that was killed
    folder = (above / secrets.token_hex(4)).resolve()
    try:
        with connected(compute) as workers:
            write_arrays(folder / SCALING, mean=scaling.mean, scale=np.array(scaling.scale))
            write_arrays(folder / CENTROIDS, **({"centroids": vectors.centroids} if isinstance(vectors, Coded) else {}))
            yield ProductsElsewhere(workers, vectors.shape, path.resolve(), folder)
    finally:
        shutil.rmtree(above, ignore_errors=True)


class ProductsElsewhere(ByGroups):
    """See the module."""

    def __init__(self, workers: Workers, shape: tuple[int, int], vectors: Path, folder: Path) -> None:
        """Say where the vectors lie, and where products may leave their files."""
        super().__init__(shape)
        self._workers, self._vectors, self._folder = workers, vectors, folder
        self._numbers = count()

    def parts(self, what: str, groups: list[slice], arrays: Sequence[np.ndarray]) -> Iterator[Part]:
        """See ByGroups."""
        own = self._folder / str(next(self._numbers))
        for number, array in enumerate(arrays):
            with atomic(own / f"{number}.npy") as file:
                np.save(file, array)
        rows = [(group.start, group.stop) for group in groups]
        size = -(-len(rows) // (TASKS * self._workers.count))
        jobs = [
            ProductJob(str(self._vectors), str(self._folder), str(own), what, len(arrays), tuple(rows[some]))
            for some in slices(len(rows), size)
        ]
        futures = [self._workers.submit(multiply, job) for job in jobs]
        try:
            if failed := self._workers.gather(futures, lambda nothing: None):
                raise failed[0]
        except PipelineError:
            self._workers.client.cancel(futures)
            raise
        for group in groups:
            given = {name: read_shared(_file(own, name, group.start)) for name in GIVES[what]}
            yield Part(given.get("forward"), given.get("sums"))
        shutil.rmtree(own, ignore_errors=True)


def multiply(job: ProductJob) -> None:
    """What a worker does: some groups, one after the other, each into files of its own."""
    keep_freed_memory(*AS_ELSEWHERE)
    own = Path(job.own)
    if not own.is_dir():  # the client gave up
        return
    arrays = [np.load(own / f"{number}.npy", mmap_mode="r") for number in range(job.arrays)]
    groups = [slice(*rows) for rows in job.groups]
    for group, part in zip(groups, _opened(job.vectors, job.folder).parts(job.what, groups, arrays), strict=True):
        for name, array in (("forward", part.forward), ("sums", part.sums)):
            if array is not None:
                with atomic(_file(own, name, group.start)) as file:
                    np.save(file, array)


@lru_cache(maxsize=1)
def _opened(vectors: str, folder: str) -> CpuProducts:
    """Of one solver after the other: its centroids may be large, so they are read once."""
    scaling = read_arrays(Path(folder) / SCALING, "svm")
    found = open_vectors(Path(vectors), read_arrays(Path(folder) / CENTROIDS, "svm"))
    return CpuProducts(found, Scaling(scaling["mean"], float(scaling["scale"])), workers=1)


def _file(own: Path, name: str, start: int) -> Path:
    return own / f"{name}-{start:010d}.npy"


def read_shared(path: Path) -> np.ndarray:
    """What a worker left.

    Raises:
        PipelineError: it is not there, or damaged.
    """
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PipelineError(
            f"{path}: a worker wrote it, and it can't be read here ({error}); look whether all machines see the same "
            "storage, and run the same command again"
        ) from error
    return found
