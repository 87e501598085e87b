"""The whole comparison on 10,000 CIFAR-10 training images against a plain script that does the same.

Both train on the same 10,000 images and one augmented copy for the features (networks: fresh ones every epoch),
choose C and the learning rate among the same values on the same 5,000 val images, and score the same 10,000 test
images. The plain script is what one writes in an afternoon: scikit-image and OpenCV image by image, LinearSVC, a
float32 PyTorch loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Skipped
from benchmarks.project import ROOT, make_project

FEATURES = ["color_histogram", "hog"]
NETWORKS = ["lenet5", "alexnet"]
SETTINGS: dict[str, Any] = {
    "dataset": "cifar10",
    "budget": "standard",
    "features": FEATURES,
    "fusions": [],
    "networks": NETWORKS,
    "tuning_trials": 2,
    "prepare.train_limit": 10_000,
    "color_histogram.features.space": "rgb",
    "color_histogram.features.map": "hellinger",
    "color_histogram.svm.C": [0.1, 1.0],
    "hog.svm.C": [0.1, 1.0],
    # What scikit-image's HOG computes in the plain script.
    "hog.features.pixels_per_cell": [4],
    "hog.features.block_norm": "L2-Hys",
    "hog.features.map": "none",
    "lenet5.learning_rates": [0.02, 0.05],
    "lenet5.trial_epochs": 1,
    "lenet5.epochs": 8,
    "alexnet.learning_rates": [0.02, 0.05],
    "alexnet.trial_epochs": 1,
    "alexnet.epochs": 8,
}


def run(data_root: Path) -> list[Row]:
    if not (data_root / "cifar-10-batches-bin").is_dir():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name) / "project", SETTINGS | {"prepare.data_root": str(data_root.resolve())})
        ours = _stages(project)
        # The plain script reads the same packed images, so that both see the same split.
        plain = _timed([sys.executable, str(ROOT / "benchmarks" / "plain_script.py"), str(project)], project)
        errors = json.loads((project / "reports" / "metrics.json").read_text())["methods"]
        plain_errors = json.loads((project / "plain.json").read_text())
    rows = [Row("endtoend, total", ours, plain, "plain script", "s", 1)]
    for key in FEATURES + NETWORKS:
        error = errors[key]["test"]["top1_error"]
        rows.append(
            Row(f"endtoend, {key}, top-1 test error", error, plain_errors[key]["error"], "plain script", "%", None)
        )
        seconds = errors[key]["cost"]["training_seconds"]
        rows.append(Row(f"endtoend, {key}, training", seconds, plain_errors[key]["seconds"], "plain script", "s", None))
    return rows


def _stages(project: Path) -> float:
    """Seconds of all stages from prepare to evaluate, each a process, as `dvc repro` runs them."""
    stages = [["prepare"]]
    stages += [[stage, key] for key in FEATURES for stage in ("codebook", "features", "svm")]
    stages += [["cnn", key] for key in NETWORKS] + [["evaluate"]]
    return sum(_timed([sys.executable, "-m", "pipeline", *stage], project) for stage in stages)


def _timed(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - started
