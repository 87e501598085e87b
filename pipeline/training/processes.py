"""One process, or several that train one network together under `torchrun`.

    torchrun --nproc-per-node 2 -m pipeline cnn resnet20

Each takes its share of every batch; gradients are averaged by DistributedDataParallel (gloo on CPUs, NCCL on GPUs), and
batch normalisation sees all shares, so the batch of the settings stays the batch, and the loss curve that of one
process (dropout alone draws by process). Only the first writes files.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from pipeline import progress
from pipeline.errors import PipelineError
from pipeline.training.shared_norm import share_norms


@dataclass(frozen=True)
class Processes:
    """Which one of how many this is."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.rank == 0

    def share(self, numbers: np.ndarray) -> tuple[np.ndarray, float]:
        """This process's images of a batch, and the factor that makes the mean loss of all processes the batch's.

        A process for which none is left takes one of another's, and counts it as nothing (batch norm sees it).
        """
        mine = numbers[self.rank :: self.world]
        if len(mine) == 0:
            return numbers[:1], 0.0
        return mine, len(mine) * self.world / len(numbers)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over all processes, and batch normalisation over all their images."""
        if self.world == 1:
            return network
        share_norms(network)
        return nn.parallel.DistributedDataParallel(network)

    def total(self, value: torch.Tensor) -> float:
        """The sum over all processes; `value` stays."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return float(value)

    def gather(self, part: np.ndarray) -> np.ndarray:
        """The parts of all processes behind one another."""
        if self.world == 1:
            return part
        parts: list[np.ndarray | None] = [None] * self.world
        dist.all_gather_object(parts, part)
        return np.concatenate([part for part in parts if part is not None])


ALONE = Processes()


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun, be alone.

    Raises:
        PipelineError: another process has ended.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    processes = Processes(dist.get_rank(), world)
    progress.console.quiet = not processes.first
    signal.signal(signal.SIGTERM, _stop)  # torchrun sends it to all when one has ended
    try:
        yield processes
    except (_Stopped, RuntimeError, dist.DistError) as error:
        if isinstance(error, PipelineError) or not _lost(error):
            raise
        raise PipelineError(
            f"process {processes.rank} of {world} lost another one, which has ended or was killed; start the same "
            "command again, and it goes on after the last finished epoch"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def refuse_several(stage: str) -> None:
    """For stages that train in one process.

    Raises:
        PipelineError: torchrun started several.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise PipelineError(f"{stage} runs in one process; start it without torchrun")


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine.

    Raises:
        PipelineError: there are more processes than GPUs.
    """
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= there:
            raise PipelineError(
                f"torchrun started process {number + 1} on this machine, which has {there} GPU{'s' * (there != 1)}; "
                f"give it --nproc-per-node {there}"
            )
        torch.cuda.set_device(number)
        return torch.device("cuda", number)
    return device


class _Stopped(Exception):
    """torchrun ends this process because another one has ended."""


def _stop(number: int, frame: object) -> None:
    raise _Stopped


def _lost(error: Exception) -> bool:
    """Whether an exception says that a connection to another process broke; gloo and NCCL have no class for it."""
    if isinstance(error, _Stopped):
        return True
    text = str(error).lower()
    return any(sign in text for sign in ("connection", "gloo", "nccl", "timed out", "peer"))
