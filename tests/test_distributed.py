"""Training with two processes on this machine."""

from __future__ import annotations

import json
import os
import shutil
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


#: Gradients and statistics of two processes' shares against those of the whole batch, in double precision.
NORMS = """
import copy
import numpy as np, torch, torch.distributed as dist
from torch import nn
from pipeline.networks.lenet5_modern import ModernLeNet5
from pipeline.networks.parts.switches import _batch_norm
from pipeline.training.processes import Processes

torch.manual_seed(0)
shared = ModernLeNet5(3, 5)
_batch_norm(shared, True, "mlp")
shared = shared.double().train()
alone = copy.deepcopy(shared)
images, labels = torch.randn(9, 3, 32, 32, dtype=torch.float64), torch.arange(9) % 5
nn.functional.cross_entropy(alone(images), labels).backward()
dist.init_process_group("gloo")
processes = Processes(dist.get_rank(), 2)
mine, weight = processes.share(np.arange(9))
joined = processes.wrap(shared)
(nn.functional.cross_entropy(joined(images[mine]), labels[mine]) * weight).backward()
for one, other in zip(alone.parameters(), shared.parameters(), strict=True):
    torch.testing.assert_close(other.grad, one.grad)
for (name, one), (_, other) in zip(alone.named_buffers(), shared.named_buffers(), strict=True):
    torch.testing.assert_close(other, one)
torch.testing.assert_close(shared.eval()(images), alone.eval()(images))
dist.destroy_process_group()
"""


#: Runs the stage; the higher rate's loss is infinite, but in the second process alone.
DIVERGING = """
import os
from pipeline.__main__ import main
from pipeline.training.loop import Run

step = Run._step

def diverging(self, network, batch, number, rate):
    if self.learning_rate > 0.03 and os.environ["RANK"] == "1":
        criterion = self.criterion
        self.criterion = lambda scores, labels: criterion(scores, labels) * float("inf")
    return step(self, network, batch, number, rate)

Run._step = diverging
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


def like(alone: Path, tmp_path: Path, changes: dict[str, Any] | None = None) -> Path:
    """A project with the same images."""
    folder = make_project(tmp_path / "project", SETTINGS | (changes or {}))
    shutil.copytree(alone / "data", folder / "data")
    return folder


def test_two_processes_give_the_curve_of_one(tmp_path: Path, alone: Path) -> None:
    folder = like(alone, tmp_path)
    done = together(folder, "-m", "pipeline")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(curve(folder), curve(alone), rtol=2e-3, atol=2e-3)


def test_batch_normalisation_sees_the_images_of_all_processes(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", SETTINGS)
    (folder / "norms.py").write_text(NORMS)
    done = together(folder, "norms.py")
    assert done.returncode == 0, done.stderr


def test_a_killed_process_ends_the_run_and_the_next_one_resumes(tmp_path: Path, alone: Path) -> None:
    folder = like(alone, tmp_path)
    (folder / "driver.py").write_text(DRIVER)
    done = together(folder, "driver.py")
    assert done.returncode != 0
    assert "start the same command again, and it goes on after the last finished epoch" in done.stderr
    assert not (folder / "results" / "cnn").exists()
    resumed = together(folder, "-m", "pipeline")
    assert resumed.returncode == 0, resumed.stderr
    np.testing.assert_allclose(curve(folder), curve(alone), rtol=2e-3, atol=2e-3)


def test_what_diverges_in_one_process_is_given_up_in_both(tmp_path: Path, alone: Path) -> None:
    rates = {"lenet5_modern.learning_rates": [0.02, 0.04], "tuning_trials": 2, "lenet5_modern.epochs": 1}
    folder = like(alone, tmp_path, rates)
    (folder / "driver.py").write_text(DIVERGING)
    done = together(folder, "driver.py")
    assert done.returncode == 0, done.stderr
    tried = json.loads((folder / "results" / "cnn" / "lenet5_modern" / "tuning.json").read_text())
    assert [(trial["value"], trial["chosen"]) for trial in tried] == [(0.02, True), (0.04, False)]
    assert tried[1]["val_error"] == 1.0
