"""Machines that are not as we would like them: quotas, folders that can't be written, full disks."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import caching

from pipeline import compiled as module
from pipeline.__main__ import main
from pipeline.compiled import compiled
from pipeline.cores import POOLS, cores, limit_threads


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "own", "count"),
    [
        ({}, "0::/\n", 64),
        ({"cpu.max": "max 100000\n"}, "0::/\n", 64),
        ({"cpu.max": "200000 100000\n"}, "0::/\n", 2),
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 2),  # a core and a half is worth two threads
        ({"cpu.max": "50000 100000\n"}, "0::/\n", 1),
        ({"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, "0::/a/b\n", 3),  # the quota of the one above
        ({"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "400000 100000\n"}, "0::/a/b\n", 3),
        ({"cpu.max": "200000 100000\n"}, "0::/../elsewhere\n", 2),  # the container does not see where it is
        ({"other/cpu.max": "200000 100000\n"}, "0::/a\n", 64),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
         "5:cpu,cpuacct:/docker/f\n1:name=systemd:/\n", 4),
        ({"cpu/k/cpu.cfs_quota_us": "100000\n", "cpu/k/cpu.cfs_period_us": "50000\n"}, "5:cpu,cpuacct:/k\n", 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "1:cpu:/\n", 64),
    ],
)  # fmt: skip
def test_a_quota_counts_as_so_many_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], own: str, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    root, mine = written(tmp_path / "cgroup", files), tmp_path / "own"
    mine.write_text(own)
    assert cores(root, mine) == count


def test_the_libraries_are_told_of_a_quota_unless_somebody_told_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in POOLS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    mine = tmp_path / "own"
    mine.write_text("0::/\n")
    limit_threads(tmp_path / "none", mine)
    assert not any(name in os.environ for name in POOLS)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    limit_threads(written(tmp_path / "cgroup", {"cpu.max": "300000 100000"}), mine)
    assert [os.environ.pop(name) for name in POOLS] == ["7", "3", "3", "3"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for monkeypatch to restore


def test_ctrl_c_ends_a_command_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.stages.inputs.run", interrupted)
    monkeypatch.setattr("sys.argv", ["pipeline", "inputs"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted; run again to go on\n"


def add(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What makes a kernel of `add`, its cache in an empty folder."""
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path / "kernels"))
    module._say_that_nothing_is_kept.cache_clear()
    return compiled()


def hits(kernel: Any) -> int:
    return sum(kernel.stats.cache_hits.values())


def test_a_kernel_is_kept_and_found_again(anew: Any) -> None:
    first = anew(add)
    assert first(np.ones(3)) == 3
    second = anew(add)
    assert second(np.ones(4)) == 4
    assert (hits(first), hits(second)) == (0, 1)


def test_no_folder_for_kernels_is_said_once_and_they_work(
    anew: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert anew(add)(np.ones(3)) == 3
    anew(add)
    assert capsys.readouterr().err.count("set NUMBA_CACHE_DIR to a folder that can be written") == 1


def test_a_full_disk_stops_no_kernel(
    anew: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", full)
    assert anew(add)(np.ones(3)) == 3
    assert "No space left on device" in capsys.readouterr().err
    assert anew(add)(np.ones(3)) == 3  # the index names a file that is not there


def test_a_damaged_file_of_the_cache_stops_no_kernel(anew: Any, tmp_path: Path) -> None:
    anew(add)(np.ones(3))
    files = list((tmp_path / "kernels").rglob("*.nb?"))
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    for path in files:
        path.write_bytes(path.read_bytes()[:40])
        assert anew(add)(np.ones(3)) == 3
