"""prepare, as a process of its own, against what it is allowed: CIFAR-10, 10,000 JPEGs of 256 pixels, objects."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, Skipped
from benchmarks.project import make_project

JPEGS = 10_000
CLASSES = 10


def run(data_root: Path) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_cifar(folder, data_root), *_jpegs(folder), *_objects(folder)]


def _prepare(folder: Path, changes: dict[str, Any]) -> tuple[float, float]:
    """Seconds and peak memory in GiB of `python -m pipeline prepare` and all its processes' largest."""
    project = make_project(folder / "project", {"features": ["hog"], "fusions": [], "networks": []} | changes)
    command = [sys.executable, "-m", "pipeline", "prepare"]
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=project, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    shutil.rmtree(project)
    if done.returncode:
        raise Skipped(f"prepare failed: {done.stderr.strip().splitlines()[-1]}")
    return seconds, int(done.stdout) / 2**20


def _cifar(folder: Path, data_root: Path) -> list[Row]:
    if not (data_root / "cifar-10-batches-bin").is_dir():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    changes = {"dataset": "cifar10", "prepare.data_root": str(data_root.resolve())}
    runs = [_prepare(folder, changes) for _ in range(3)]
    seconds, memory = (float(np.median([run[index] for run in runs])) for index in range(2))
    return [
        Row("prepare CIFAR-10, 60,000 images", seconds, 15.0, "allowed", "s", 1),
        Row("prepare CIFAR-10, peak memory", memory, 1.0, "allowed", "GiB", 1),
    ]


def _jpegs(folder: Path) -> list[Row]:
    import cv2
    import skimage.data

    photographs = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    random = np.random.default_rng(0)
    for number in range(JPEGS):
        photograph = photographs[number % 3]
        y, x = (int(random.integers(0, side - 256)) for side in photograph.shape[:2])
        path = folder / "root" / "photos" / f"class {number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photograph[y : y + 256, x : x + 256, ::-1])
    changes = {"dataset": "photos", "datasets.photos.image_size": 128, "prepare.data_root": str(folder / "root")}
    seconds, _ = _prepare(folder, changes)
    return [Row("prepare a folder of 10,000 JPEGs, 256 px", JPEGS / seconds, 400.0, "allowed", "images/s", 1)]


def _objects(folder: Path) -> list[Row]:
    per_class = {"train": 500, "val": 50, "test": 50}
    seconds, _ = _prepare(folder, {"datasets.objects.images_per_class": per_class})
    return [Row("prepare 12,000 objects, 48 px", 20 * 600 / seconds, 1000.0, "allowed", "images/s", 1)]
