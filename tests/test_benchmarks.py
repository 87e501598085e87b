"""What benchmarks can't tell by themselves: their projects still have settings that the pipeline takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import cluster, dask, endtoend, gpu, ilsvrc, predict, report, xrce2011
from benchmarks.project import make_project
from pipeline import settings

CHANGES = {
    "dask": xrce2011.SETTINGS | dask.WORKERS,
    "endtoend": endtoend.SETTINGS,
    "predict": predict.BRIEF,
    "prepare": {"features": ["hog"], "fusions": [], "networks": []},
    "training": {"budget": "standard"},
    "xrce2011": xrce2011.SETTINGS,
    **{f"report: {name}": report.selected(case["keys"]) for name, case in report.CASES.items()},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_benchmarks_project_has_settings_that_the_pipeline_takes(name: str, tmp_path: Path) -> None:
    chosen = settings.load(make_project(tmp_path / "project", CHANGES[name]) / "params.yaml")
    assert not chosen.curve.sizes  # only what the benchmark names is measured
    assert not chosen.pretrained


def test_each_task_goes_to_the_worker_that_is_free_first() -> None:
    assert cluster.makespan([3, 3, 2, 2, 2], 2) == 7  # 3 + 2 + 2 and 3 + 2
    assert cluster.makespan([1] * 10, 3) == 4
    assert cluster.makespan([2, 1], 5) == 2
    assert cluster.makespan([3, 1, 1], 3, join=0.5) == 4.5  # the client waits for the first, then joins all three
    assert cluster.makespan([1, 1, 1], 1, join=0.5) == 3.5  # it joins the others while the last is computed


def test_the_steps_of_a_gpu_s_benchmark_run_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small, since what is measured then does not count."""
    monkeypatch.setattr(ilsvrc, "PAPER", ilsvrc.PAPER | {"gaussians": 4, "sample": 600, "regions": ["1x1"]})
    monkeypatch.setattr(ilsvrc, "DIMENSION", 2 * 4 * 64)
    small = gpu.Size(
        described=1, predicted=2, classes=5, descriptors=600, gaussians=4, iterations=1, groups=8, vectors=300
    )
    cpu = torch.device("cpu")
    rows = [gpu._sift(small, cpu), *gpu._codebooks(small), gpu._prediction(small, cpu)]
    assert [row.unit for row in rows] == ["images/s", "s", "s", "s", "images/s"]
    assert all(row.ours > 0 for row in rows)
