"""Training with two processes on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

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


def on_two_machines(folder: Path, *program: str) -> list[subprocess.CompletedProcess[str]]:
    """The same by two torchruns that find each other at an address, as on two machines with one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", "one"]
    arguments = ["--nnodes", "2", *meet, "--nproc-per-node", "1", *program, "cnn", "lenet5_modern"]
    command = [sys.executable, "-m", "torch.distributed.run", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=folder, env=environment, **pipes) for _ in range(2)]
    ended = []
    for process in started:
        out, error = process.communicate(timeout=400)
        ended.append(subprocess.CompletedProcess(command, process.returncode, out, error))
    return ended


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Of the fitted model."""
    return load_file(folder / "models" / "lenet5_modern" / "arrays.safetensors")


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


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, alone: Path) -> Path:
    """A project whose network was trained by two processes that nothing disturbed."""
    folder = like(alone, tmp_path_factory.mktemp("both"))
    done = together(folder, "-m", "pipeline")
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_give_the_curve_of_one(alone: Path, both: Path) -> None:
    np.testing.assert_allclose(curve(both), curve(alone), rtol=2e-3, atol=2e-3)


def test_batch_normalisation_sees_the_images_of_all_processes(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", SETTINGS)
    (folder / "norms.py").write_text(NORMS)
    done = together(folder, "norms.py")
    assert done.returncode == 0, done.stderr


def test_a_killed_process_ends_the_run_and_the_next_one_reaches_the_same_weights(
    tmp_path: Path, alone: Path, both: Path
) -> None:
    """On what looks like two machines, both times."""
    folder = like(alone, tmp_path)
    (folder / "driver.py").write_text(DRIVER)
    done = on_two_machines(folder, "driver.py")
    assert all(one.returncode for one in done)
    words = "start the same command again, and it goes on after the last finished epoch"
    assert any(words in one.stderr for one in done)
    assert not (folder / "results" / "cnn").exists()
    resumed = on_two_machines(folder, "-m", "pipeline")
    assert [one.returncode for one in resumed] == [0, 0], resumed[0].stderr + resumed[1].stderr
    found, expected = weights(folder), weights(both)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_what_diverges_in_one_process_is_given_up_in_both(tmp_path: Path, alone: Path) -> None:
    rates = {"lenet5_modern.learning_rates": [0.02, 0.04], "tuning_trials": 2, "lenet5_modern.epochs": 1}
    folder = like(alone, tmp_path, rates)
    (folder / "driver.py").write_text(DIVERGING)
    done = together(folder, "driver.py")
    assert done.returncode == 0, done.stderr
    tried = json.loads((folder / "results" / "cnn" / "lenet5_modern" / "tuning.json").read_text())
    assert [(trial["value"], trial["chosen"]) for trial in tried] == [(0.02, True), (0.04, False)]
    assert tried[1]["val_error"] == 1.0
