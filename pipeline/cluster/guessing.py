"""Photographs for fitted models, a chunk a task: Dask's workers read and score them.

What comes back are the answers themselves, which are small; so a worker may be killed at any time, and photographs and
models are read where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.tasks import in_project
from pipeline.errors import PipelineError
from pipeline.models.folder import CARD, Stored
from pipeline.prediction.choosing import load_all
from pipeline.prediction.scoring import Answer, Changing, Reading, answer_chunk
from pipeline.robustness.asked import asked
from pipeline.settings import Compute

PROBED = 50  # folders of photographs that workers are asked about


@dataclass(frozen=True)
class GuessJob:
    """What every chunk has in common.

    Attributes:
        project: folder of params.yaml.
        models: folder with the models, and `names`: theirs.
        written: when what lies there was; see `written_at`. A worker that has read other models reads these anew.
        top, at_least: see scoring.answers.
        change, severity: see robustness.asked; None: images stay as they are.
    """

    project: str
    models: str
    names: tuple[str, ...]
    written: tuple[int, ...]
    top: int
    at_least: float
    change: str | None
    severity: int | None


def written_at(models: Path) -> tuple[int, ...]:
    """When each model in a folder was written, members of fusions among them, in nanoseconds."""
    return tuple(path.stat().st_mtime_ns for path in sorted([*models.glob(CARD), *models.glob(f"*/{CARD}")]))


def answer_files_elsewhere(
    compute: Compute, job: GuessJob, files: Sequence[Path], chunks: Sequence[slice], advance: Callable[[int], None]
) -> Iterator[tuple[Path, list[Answer]]]:
    """Each file with every model's answer, in their order, whoever gives it.

    Args:
        compute: the workers.
        chunks: the files of a task each.
        advance: called with the number of images done.

    Raises:
        PipelineError: a worker sees other photographs or models, or see `connected`.
    """
    with connected(compute) as workers:
        _check_seen(workers, [Path(job.models) / name / CARD for name in job.names], "the models")
        _check_seen(workers, _one_of_each_folder(files), "the photographs")
        tasks = [workers.submit(guess, job, [str(file.absolute()) for file in files[chunk]]) for chunk in chunks]
        tasks.reverse()
        for chunk in chunks:
            found: list[list[list[Answer]]] = []
            failed = workers.gather([tasks.pop()], found.append)  # its answers are forgotten where they were kept
            if failed:
                raise failed[0]
            yield from zip(files[chunk], found[0], strict=True)
            advance(chunk.stop - chunk.start)


def guess(job: GuessJob, files: list[str]) -> list[list[Answer]]:
    """What all models say of these files, on a worker."""
    with in_project(job.project) as compute:
        stored, change = _models(job, compute)
        read = Reading(next(iter(stored.values())).card.image, compute.worker_count, change)
        return answer_chunk(stored, *read.all_of([Path(file) for file in files]), job.top, job.at_least)


@lru_cache(maxsize=1)
def _models(job: GuessJob, compute: Compute) -> tuple[Mapping[str, Stored], Changing | None]:
    """A worker reads them once."""
    stored = load_all(Path(job.models), list(job.names), compute)
    card = next(iter(stored.values())).card
    return stored, None if job.change is None else asked(job.change, job.severity, card.image, card.seed)


def _one_of_each_folder(files: Sequence[Path]) -> list[Path]:
    """The first file of each folder, of the first folders."""
    first: dict[Path, Path] = {}
    for file in files:
        first.setdefault(file.parent, file)
    return list(islice(first.values(), PROBED))


def _check_seen(workers: Workers, files: Sequence[Path], what: str) -> None:
    """Raises PipelineError where a worker has another file, or none, under the same name."""
    names = [str(file.absolute()) for file in files]
    own = _sizes(names)
    for address, sizes in workers.client.run(_sizes, names).items():
        for name, here, there in zip(names, own, sizes, strict=True):
            if here != there:
                raise PipelineError(
                    f"Dask's worker {address} can't see {name} as this machine does; put {what} on storage that all "
                    "workers share, at the same path, or set `compute.backend` in params.yaml to loky"
                )


def _sizes(names: list[str]) -> list[int]:
    """In bytes; -1 where there is no such file."""
    return [Path(name).stat().st_size if Path(name).is_file() else -1 for name in names]
