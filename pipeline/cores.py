"""How many cores this process may use: those that it may run on, and no more than a container's quota pays for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def cores(root: Path = ROOT, own: Path = OWN) -> int:
    """The number of cores this process may use, at least 1.

    Args:
        root: where the system's control groups are mounted.
        own: which of them this process is in.
    """
    allowed = _allowed()
    quotas = [ceil(quota) for quota in _quotas(root, own)]
    return max(1, min([allowed, *quotas]))


def limit_threads(root: Path = ROOT, own: Path = OWN) -> None:
    """Tell the libraries' own pools of threads of a quota, before they are imported; what a person has set stays.

    They look at the cores alone: with 64 of them and a quota of two, 64 threads would wait for each other.
    """
    count = cores(root, own)
    if count < _allowed():
        for name in POOLS:
            os.environ.setdefault(name, str(count))


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(root: Path, own: Path) -> Iterator[float]:
    """Cores' worth of time, of the group of this process and of all above it, in both versions of Linux's groups."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:  # another system
        return
    for line in lines:
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if number == "0" and not kinds:
            yield from _up(root, path, ("cpu.max",))
        elif "cpu" in kinds.split(","):
            for name in (kinds, "cpu"):
                yield from _up(root / name, path, ("cpu.cfs_quota_us", "cpu.cfs_period_us"))


def _up(mounted: Path, path: str, files: tuple[str, ...]) -> Iterator[float]:
    """What stands in the files of a group and of those above it; a container may see its own at the root."""
    group = mounted / path.lstrip("/")
    for folder in (group, *group.parents):
        if folder == mounted.parent:
            return
        with suppress(OSError, ValueError):  # no quota is written as "max", or as -1
            time, period = " ".join((folder / name).read_text(encoding="utf-8") for name in files).split()
            if int(time) > 0:
                yield int(time) / int(period)
