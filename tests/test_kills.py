"""Runs that are killed anywhere: the next one works by itself, and ends with the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, command, make_project, pipeline
from tests.test_pipeline import SELECTED, commit, git

KILLS = 10
MADE = ("data", "codebooks", "features", "models", "results")
TIMED = {"cost.json", "card.json"}  # they hold seconds
LIVE = "live"  # DVCLive's, with times


def start(folder: Path) -> subprocess.Popen[str]:
    """`dvc repro` in a group of its own, what it says line by line."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def killed_after(folder: Path, lines: int) -> bool:
    """Kill it with all its children as soon as it has said so many lines; whether it was still running."""
    running = start(folder)
    assert running.stdout is not None
    for number, _ in enumerate(running.stdout, 1):
        if number == lines:
            os.killpg(running.pid, signal.SIGKILL)
            break
    running.stdout.close()
    return running.wait() == -signal.SIGKILL


def checksums(folder: Path) -> dict[str, str]:
    """Of all that was computed, but for files that hold times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in MADE
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and path.name not in TIMED and LIVE not in path.parts
    }


def fresh(folder: Path) -> Path:
    changes = SELECTED | {"features": ["hog", "sift_bow"], "networks": ["lenet5"], "prepare.folds": 2}
    make_project(folder, changes | {"datasets.objects.images_per_class": {"train": 4, "val": 2, "test": 2}})
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    git(folder, "init", "-q")
    commit(folder)
    return folder


@pytest.mark.slow
def test_a_run_killed_anywhere_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """Lines come from all kinds of stages and from DVC between them, where it writes its lock."""
    whole = fresh(tmp_path / "whole")
    running = start(whole)
    assert running.stdout is not None
    said = running.stdout.readlines()
    assert running.wait() == 0, said[-20:]
    expected = checksums(whole)
    assert {name.split("/")[0] for name in expected} == set(MADE)
    for number, lines in enumerate(np.random.default_rng(0).integers(1, len(said), KILLS).tolist()):
        folder = fresh(tmp_path / f"killed{number}")
        assert killed_after(folder, lines), lines
        mended = pipeline(folder, "mend")
        assert mended.returncode == 0, mended.stderr
        done = command(folder, sys.executable, "-m", "dvc", "repro")
        assert done.returncode == 0, (lines, said[lines - 1], done.stdout[-2000:], done.stderr[-2000:])
        assert checksums(folder) == expected, (lines, said[lines - 1])
        shutil.rmtree(folder, ignore_errors=True)
