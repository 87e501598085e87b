from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.project import ROOT
from pipeline.files import parse_yaml

__all__ = ["DEVICES", "ROOT", "command", "edit", "make_project", "pipeline"]

#: Files whose tests share what takes long to make: each goes to one worker, and they start first.
TOGETHER = tuple(f"tests/test_{name}.py" for name in ("pipeline", "distributed", "page", "page_in_browser"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give out those files whole, the one with the most tests first, and all other tests one by one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return file if file in TOGETHER else nodeid

    return Scheduling(config, log)


#: For tests of what computes on a GPU, too: torch's CPU stands for it where there is none.
DEVICES = [
    pytest.param(torch.device("cpu"), id="cpu"),
    pytest.param(
        torch.device("cuda"),
        id="cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
    ),
]

#: Everything as small as it can be while every stage still has something to do.
TINY: dict[str, Any] = {
    "prepare.data_root": "datasets",
    "datasets.objects.image_size": 32,
    "datasets.objects.images_per_class": {"train": 6, "val": 3, "test": 3},
    "sift_bow.features.words": 20,
    "sift_bow.features.sample": 2000,
    "textons.features.words": 15,
    "textons.features.sample": 2000,
    **{
        f"{key}.features.{name}": value
        for key in ("sift_fv", "color_fv")
        for name, value in {"gaussians": 4, "iterations": 2, "sample": 2000, "dimensions": 16}.items()
    },
    "networks": ["lenet5", "alexnet"],
    "pretrained": [],
    "fine_tuned": [],
    "efficientnet_lite0.features.side": 32,
    **{
        f"efficientnet_lite0_fv.features.{name}": value
        for name, value in {"sides": [64, 96], "gaussians": 2, "iterations": 2, "sample": 500, "dimensions": 8}.items()
    },
    "efficientnet_lite0_tuned.side": 32,
    **{
        f"{key}.{name}": 1
        for key in ("efficientnet_lite0_tuned", "earlier_run_tuned")
        for name in ("epochs", "least_steps")
    },
    "curve.methods": [],
    "curve.sizes": [],
    "training.least_batches": 1,
    "training.least_steps": 1,
    "lenet5.epochs": 2,
    "lenet5.trial_epochs": 1,
    "alexnet.width": 0.05,
    "alexnet.epochs": 2,
    "alexnet.trial_epochs": 1,
    "alexnet.precision": "fp32",
    "alexnet.batch_size": 40,
    "evaluation.gallery": 3,
    "robustness": {"sample": 8, "severities": [3], "changes": ["rotation", "grey"], "reference": None},
}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment in a folder."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)


def pipeline(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipeline …` as a person would."""
    return command(folder, sys.executable, "-m", "pipeline", *arguments)


def edit(folder: Path, changes: dict[str, Any]) -> None:
    """Set dotted keys in a folder's params.yaml. It becomes JSON, which is YAML, too, and quick to write."""
    path = folder / "params.yaml"
    params = parse_yaml(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *above, last = key.split(".")
        section = params
        for name in above:
            section = section[name]
        section[last] = value
    path.write_text(json.dumps(params, indent=1, ensure_ascii=False), encoding="utf-8")


def make_project(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """A copy of the project with tiny settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    _copy_code(folder / "pipeline")
    edit(folder, TINY | (changes or {}))
    return folder


def _copy_code(target: Path) -> None:
    """The code, to be changed by a test, but not its caches: what was compiled once serves all copies.

    Python and Numba know by a file's time and size, which a copy keeps, whether they compiled just that.
    """
    shutil.copytree(ROOT / "pipeline", target, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        cache = ROOT / "pipeline" / folder.relative_to(target) / "__pycache__"
        if any(folder.glob("*.py")):
            cache.mkdir(exist_ok=True)
            (folder / "__pycache__").symlink_to(cache)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny project, which is also the current folder."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder
