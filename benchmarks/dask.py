"""The 2011 system on 10,000 images of CIFAR-10 by two of Dask's workers, of one thread each, against two threads.

Only the stage `features` is shared out; codebooks, SVMs and fusion run in both as always. Scores are the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import PROCESSES, Row, Skipped
from benchmarks.project import make_project
from benchmarks.xrce2011 import CHANNELS, SETTINGS

IMAGES = 10_000
WORKERS = {"compute.workers": PROCESSES, "compute.device": "cpu"}


def run(data_root: Path) -> list[Row]:
    if not (data_root / "cifar-10-batches-bin").is_dir():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    seconds: dict[str, dict[str, float]] = {}
    scores: dict[str, bytes] = {}
    for backend in ("loky", "dask"):
        with tempfile.TemporaryDirectory() as name:
            own = {"prepare.data_root": str(data_root.resolve()), "prepare.train_limit": IMAGES}
            project = make_project(Path(name) / "project", SETTINGS | WORKERS | own | {"compute.backend": backend})
            seconds[backend] = _stages(project)
            scores[backend] = (project / "results" / "fuse" / "xrce2011" / "scores.npz").read_bytes()
    if scores["loky"] != scores["dask"]:
        raise RuntimeError("scores differ between Dask's workers and threads")
    name, peer = f"xrce2011, CIFAR-10, {IMAGES:,} images, by two of Dask's workers", "two threads"
    features, whole = ({backend: found[what] for backend, found in seconds.items()} for what in ("features", "whole"))
    return [
        Row(f"{name}: features", features["dask"], features["loky"], peer, "s", 1 / 1.1),
        Row(f"{name}: all stages; scores are the same bytes", whole["dask"], whole["loky"], peer, "s", 1 / 1.1),
    ]


def _stages(project: Path) -> dict[str, float]:
    """Seconds of the stage that is shared out, and of all but prepare."""
    _run(project, "prepare")
    found = {"features": 0.0, "whole": 0.0}
    channels = [(stage, key) for key in CHANNELS for stage in ("codebook", "features", "svm")]
    for stage, key in [*channels, ("fuse", "xrce2011")]:
        took = _run(project, stage, key)
        found["whole"] += took
        found["features"] += took * (stage == "features")
    return found


def _run(project: Path, *stage: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pipeline", *stage], cwd=project, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"{' '.join(stage)} failed: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - started
