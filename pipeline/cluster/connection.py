"""Dask's workers: those of a cluster that somebody started, or processes of this machine.

Only paths and small settings travel to them. What they make they write to the project's folder, which all of them must
see, whole or not at all; so a worker may be killed at any time, and Dask gives its task to another one.
"""

from __future__ import annotations

import logging
import platform
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import layout, progress
from pipeline.device import pick_device
from pipeline.errors import PipelineError
from pipeline.settings import Compute

if TYPE_CHECKING:
    from distributed import Client, Future

TIMEOUT = "20s"  # for a scheduler to answer
WAIT = 60  # seconds for the first worker
DEVICE, PROCESSOR = OF_MACHINES = "the device", "a processor of the kind"
COMPARED = ("numpy", "scipy", "numba", "scikit-learn", "opencv-python", "torch", "distributed")


@dataclass(frozen=True)
class Workers:
    """Who does the tasks.

    Attributes:
        client: Dask's.
        address: of the scheduler.
        project: the folder of params.yaml, as the workers see it.
    """

    client: Client
    address: str
    project: Path

    @property
    def count(self) -> int:
        """How many there are now, at least one."""
        return max(1, len(_there(self.client)))

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future:
        """Hand out a task; arguments that are others' futures are waited for."""
        return self.client.submit(task, *arguments, pure=False)

    def gather(self, futures: Sequence[Future], done: Callable[[Any], None]) -> list[PipelineError]:
        """Wait for all of them, in the order in which they end.

        Args:
            futures: of `submit`.
            done: called with each result.

        Returns:
            What went wrong in tasks, in sentences that a person can act on.

        Raises:
            PipelineError: the scheduler is gone, or tasks kill the workers that they are given to.
        """
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        failed, count = [], 0
        for future in as_completed(futures):
            if future.cancelled():
                raise self._lost()
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise PipelineError(
                    "a task was given to several of Dask's workers, and each of them was killed: it may need more "
                    "memory than they have; start them with more, and run the same command again"
                ) from error
            if isinstance(error, PipelineError):
                failed.append(error)
            elif error is not None:
                raise error
            else:
                done(future.result())
            count += 1
        if count < len(futures):
            raise self._lost()
        return failed

    def _lost(self) -> PipelineError:
        return PipelineError(
            f"the Dask scheduler at {self.address} is gone; start it again, and run the same command: it goes on after "
            "what is finished"
        )


@contextmanager
def connected(compute: Compute, project: Path | None = None) -> Iterator[Workers]:
    """Workers as `compute` says, ready to work for the project in the current folder.

    Raises:
        PipelineError: Dask is not installed, no scheduler answers, there is no worker, or one of them has another
            version of this project or can't see its folder.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise PipelineError(
            "`compute.backend` is dask, but the package distributed is not installed; install it (pip install "
            "distributed), or set it to loky"
        ) from error
    _be_quiet()
    folder = (project or Path.cwd()).resolve()
    cluster = _local(compute) if compute.scheduler is None else None
    try:
        client = Client(cluster) if cluster is not None else _client(str(compute.scheduler))
        try:
            workers = Workers(client, _address(client), folder)
            _ready(workers)
            progress.say(f"Dask: {len(_there(client))} workers, scheduler at {workers.address}, {_dashboard(client)}")
            yield workers
        finally:
            client.close()
    finally:
        if cluster is not None:
            cluster.close()


def _be_quiet() -> None:
    """Dask's own messages are for those who write it; what a person can put right is told in our sentences."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _local(compute: Compute) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=compute.worker_count,
        threads_per_worker=1,
        processes=True,
        memory_limit=None,  # Dask would count mapped files, which the system takes back when it needs the memory
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def _client(scheduler: str) -> Client:
    """Of an address, or of a file in which a scheduler wrote its own."""
    from distributed import Client

    if "://" not in scheduler and not Path(scheduler).is_file():
        raise PipelineError(
            f"params.yaml: `compute.scheduler` is {scheduler!r}: there is no such file; give a scheduler's address, "
            "such as tcp://10.0.0.1:8786, the file that `dask scheduler --scheduler-file` writes, or null"
        )
    try:
        if "://" in scheduler:
            return Client(scheduler, timeout=TIMEOUT)
        return Client(scheduler_file=scheduler, timeout=TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise PipelineError(
            f"params.yaml: `compute.scheduler` is {scheduler!r}, and no Dask scheduler of this version answers there; "
            "start one (dask scheduler), or set it to null for processes of this machine"
        ) from error


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "?"


def _dashboard(client: Client) -> str:
    link = client.dashboard_link
    return f"dashboard {link}" if link else "no dashboard"


def _there(client: Client) -> list[str]:
    return list(client.scheduler_info(n_workers=-1)["workers"])


def _ready(workers: Workers) -> None:
    """Ask every worker what it is and what it sees."""
    client = workers.client
    try:
        client.wait_for_workers(1, timeout=WAIT)
    except TimeoutError as error:
        raise PipelineError(
            f"the Dask scheduler at {workers.address} has no worker; start some (dask worker {workers.address})"
        ) from error
    token = secrets.token_hex(8)
    probe = workers.project / layout.WORK / f"probe-{token}"
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_text(token)
    try:
        found = client.run(_asking(str(probe)), on_error="return")
    finally:
        probe.unlink(missing_ok=True)
    own = _itself()
    threads = {one: about["nthreads"] for one, about in client.scheduler_info(n_workers=-1)["workers"].items()}
    for address, answer in found.items():
        if threads.get(address, 1) != 1:
            raise PipelineError(
                f"Dask's worker {address} has {threads[address]} threads, in which fits would disturb each other; "
                "start it with --nthreads 1, and with --nworkers for more"
            )
        if isinstance(answer, BaseException):
            raise PipelineError(f"Dask's worker {address} can't be asked what it sees ({answer}); start it again")
        _compare(address, answer, own, token, workers.project)


def _asking(probe: str) -> Callable[[], dict[str, str]]:
    """A function that travels as it is, since a worker may lack this package."""

    def ask() -> dict[str, str]:
        from pathlib import Path

        try:
            from pipeline.cluster.connection import _itself
        except ImportError as error:
            return {"missing": str(error)}
        path = Path(probe)
        return _itself() | {"token": path.read_text() if path.is_file() else ""}

    return ask


def _itself() -> dict[str, str]:
    """What results depend on, beside the task: versions, and this project's code."""
    import llvmlite.binding

    from pipeline.workfolder import work_folder

    code = work_folder("code", [Path(__file__).parents[1]]).name
    versions = {"Python": platform.python_version()} | {name: metadata.version(name) for name in COMPARED}
    versions[DEVICE] = pick_device("auto").type
    versions[PROCESSOR] = llvmlite.binding.get_host_cpu_name()  # another's kernels round otherwise
    return versions | {"this project's code": code.removeprefix("code-")}


def _compare(address: str, answer: dict[str, str], own: dict[str, str], token: str, project: Path) -> None:
    if "missing" in answer:
        raise PipelineError(
            f"Dask's worker {address} lacks this project ({answer['missing']}); start it in an environment where it is "
            f"installed (pip install {project}), or in the project's folder"
        )
    for name, value in own.items():
        if answer.get(name) != value:
            remedy = "use machines of the same kind" if name in OF_MACHINES else "install the same there"
            raise PipelineError(
                f"Dask's worker {address} has {name} {answer.get(name)}, and here it is {value}; results would depend "
                f"on who computes them; {remedy}"
            )
    if answer["token"] != token:
        raise PipelineError(
            f"Dask's worker {address} can't see {project}; put the project on storage that all workers share, at the "
            "same path"
        )
