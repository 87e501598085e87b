"""Training with two processes on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_project, pipeline

SETTINGS: dict[str, Any] = {
    "networks": ["lenet5_modern"],
    "features": [],
    "fusions": [],
    "tuning_trials": 1,
    "lenet5_modern.learning_rates": [0.02],
    "training.trial_epochs": 1,
    "lenet5_modern.epochs": 4,
    "lenet5_modern.batch_size": 37,  # neither it nor the last batch is even
    "compute.device": "cpu",
}


#: Runs the stage, and kills the second process when its third epoch begins.
DRIVER = """
import os, signal, sys
from pipeline.__main__ import main
from pipeline.training.loop import Run

train_epoch = Run.train_epoch

def killed(self, advance):
    if self.progress.epoch == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return train_epoch(self, advance)

Run.train_epoch = killed
main()
"""


def together(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the arguments `cnn lenet5_modern` under torchrun, in two processes."""
    arguments = ["--standalone", "--nproc-per-node", "2", *program, "cnn", "lenet5_modern"]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=400,
    )


def curve(folder: Path) -> pd.DataFrame:
    """Loss and error by epoch."""
    metrics = folder / "results" / "cnn" / "lenet5_modern" / "live" / "plots" / "metrics"
    return pd.concat(
        [pd.read_csv(metrics / f"{name}.tsv", sep="\t")[name] for name in ("train_loss", "val_loss", "val_error")],
        axis=1,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose network was trained by one process."""
    folder = make_project(tmp_path_factory.mktemp("alone") / "project", SETTINGS)
    assert pipeline(folder, "prepare").returncode == 0
    done = pipeline(folder, "cnn", "lenet5_modern")
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_give_the_curve_of_one(tmp_path: Path, alone: Path) -> None:
    folder = make_project(tmp_path / "project", SETTINGS)
    assert pipeline(folder, "prepare").returncode == 0
    done = together(folder, "-m", "pipeline")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(curve(folder), curve(alone), rtol=2e-3, atol=2e-3)


def test_a_killed_process_ends_the_run_and_the_next_one_resumes(tmp_path: Path, alone: Path) -> None:
    folder = make_project(tmp_path / "project", SETTINGS)
    assert pipeline(folder, "prepare").returncode == 0
    (folder / "driver.py").write_text(DRIVER)
    done = together(folder, "driver.py")
    assert done.returncode != 0
    assert "start the same command again, and it goes on after the last finished epoch" in done.stderr
    assert not (folder / "results" / "cnn").exists()
    resumed = together(folder, "-m", "pipeline")
    assert resumed.returncode == 0, resumed.stderr
    np.testing.assert_allclose(curve(folder), curve(alone), rtol=2e-3, atol=2e-3)
