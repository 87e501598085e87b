"""Passes that Dask's workers make, a group of chunks in each task: for codebooks.

What a pass reads lies in files that all workers see, and what a group gives is a file, too, so a worker may be killed
at any time. The client puts the groups together in the order in which one machine does it: the same bytes.
"""

from __future__ import annotations

import mmap
import secrets
import shutil
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType

import numpy as np

from pipeline import layout
from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.tasks import AS_ELSEWHERE
from pipeline.errors import PipelineError
from pipeline.files import atomic
from pipeline.parallel import one_blas_thread, slices
from pipeline.passes import Advance, Arrays, Here, Pass, Passes, Work, quiet
from pipeline.settings import Compute
from pipeline.training.memory import keep_freed_memory

WORTH = 1 << 33  # multiplications: a shorter pass is over before workers have been told of it
LARGE = 1 << 20  # bytes of an array that may serve many passes: it is written once


@dataclass(frozen=True)
class GroupJob:
    """Any group of one pass.

    Attributes:
        own: folder of the pass, for what groups give.
        make, together, chunk: see Pass.
        arrays: the files of what the work reads, by its names.
    """

    own: str
    make: Callable[..., Work]
    together: Callable[[Iterable[Arrays]], Arrays]
    chunk: int
    arrays: Mapping[str, str]


class PassesElsewhere(Passes):
    """Passes by Dask's workers, and short ones by threads of this machine."""

    def __init__(self, key: str, compute: Compute) -> None:
        """Say for which method, for the folder; workers are asked for when there is a pass that is worth it."""
        self._compute = compute
        self._above = layout.WORK / "passes" / key
        self._folder = (self._above / secrets.token_hex(4)).resolve()
        self._numbers = count()
        self._written: dict[int, tuple[weakref.ref[np.ndarray], Path]] = {}
        self._open = ExitStack()
        self._workers: Workers | None = None

    def __enter__(self) -> PassesElsewhere:
        """Forget what a killed run left."""
        shutil.rmtree(self._above, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the workers go."""
        self._open.close()
        shutil.rmtree(self._above, ignore_errors=True)

    @property
    def workers(self) -> int:
        """See Passes."""
        return self._compute.worker_count

    def each(self, one: Pass, advance: Advance = quiet) -> Iterator[Arrays]:
        """See Passes.

        Raises:
            PipelineError: see `connected` and Workers.gather; or what a worker left can't be read here.
        """
        if one.products < WORTH:
            yield from Here(self.workers).each(one, advance)
            return
        if self._workers is None:
            self._workers = self._open.enter_context(connected(self._compute))
        own = self._folder / str(next(self._numbers))
        arrays = {name: str(self._file_of(array, own / f"{name}.npy")) for name, array in one.arrays.items()}
        job = GroupJob(str(own), one.make, one.together, one.chunk, arrays)
        own.mkdir(parents=True, exist_ok=True)
        futures = [self._workers.submit(do_group, job, rows.start, rows.stop) for rows in one.groups()]
        futures.reverse()
        try:
            for rows in one.groups():
                if failed := self._workers.gather([futures.pop()], lambda nothing: None):
                    raise failed[0]
                yield _read(_file(own, rows.start))
                advance(rows.stop - rows.start)
        finally:
            self._workers.client.cancel(futures)
            shutil.rmtree(own, ignore_errors=True)

    def _file_of(self, array: np.ndarray, own: Path) -> Path:
        """Where all of an array lies, and nothing else: its own file, one of an earlier pass, or a new one.

        Args:
            own: for an array that this pass alone reads.
        """
        if (path := mapped_from(array)) is not None:
            return path
        known = self._written.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        path = own
        if array.nbytes >= LARGE:
            path = self._folder / f"array-{next(self._numbers)}.npy"
            self._written[id(array)] = weakref.ref(array, lambda gone: path.unlink(missing_ok=True)), path
        with atomic(path) as file:
            np.save(file, array)
        return path


def do_group(job: GroupJob, start: int, stop: int) -> None:
    """What a worker does: the chunks of one group, one after the other, and what they give together into a file."""
    keep_freed_memory(*AS_ELSEWHERE)
    own = Path(job.own)
    if not own.is_dir():  # the client gave up
        return
    arrays = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in job.arrays.items()}
    chunks = (slice(start + part.start, start + part.stop) for part in slices(stop - start, job.chunk))
    with one_blas_thread():
        found = job.together(map(job.make(**arrays), chunks))
    if not own.is_dir():  # the client gave up meanwhile
        return
    with atomic(_file(own, start)) as file:
        np.savez(file, *found)


def mapped_from(array: np.ndarray) -> Path | None:
    """The .npy file that holds all of a mapped array and no others; None where there is none."""
    if not isinstance(array, np.memmap) or array.filename is None or not isinstance(array.base, mmap.mmap):
        return None  # a view may have other rows, or the same in another order
    path = Path(array.filename).absolute()
    try:
        whole = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # no .npy file, or gone
        return None
    return path if (whole.shape, whole.dtype) == (array.shape, array.dtype) else None


def _file(own: Path, start: int) -> Path:
    return own / f"group-{start:010d}.npz"


def _read(path: Path) -> Arrays:
    """What a worker left; the file is not needed any more."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = tuple(stored[f"arr_{number}"] for number in range(len(stored.files)))
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise PipelineError(
            f"{path}: a worker wrote it, and it can't be read here ({error}); look whether all machines see the same "
            "storage, and run the same command again"
        ) from error
    path.unlink(missing_ok=True)
    return found
