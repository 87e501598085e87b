"""Compiled kernels give the same bytes whether they were compiled just now or come out of Numba's cache."""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import pipeline
from tests.conftest import make_project

ROOMS = ("descriptors", "encoding", "features", "classifiers", "data", "augmentation")


def kernels() -> list[Dispatcher]:
    """All compiled functions."""
    found = []
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if module.name.split(".")[1] in ROOMS:
            names = vars(importlib.import_module(module.name))
            found += [one for one in names.values() if isinstance(one, Dispatcher)]
    return list({id(one): one for one in found}.values())


def test_what_a_kernel_calls_becomes_a_part_of_it() -> None:
    """Otherwise there are two copies, one alone and one within the caller, optimised differently.

    The process that compiles runs the first. All later ones find only the caller in the cache and run the other, whose
    last bits differ where sums may be added up in another order.
    """
    called = {
        inner
        for kernel in kernels()
        for name in kernel.py_func.__code__.co_names
        if isinstance(inner := kernel.py_func.__globals__.get(name), Dispatcher)
    }
    assert len(called) > 10
    for inner in called:
        assert inner.targetoptions.get("forceinline"), inner.py_func


FEATURES = ("hog", "sift_bow", "color_histogram", "textons", "lbp", "sift_vlad", "color_fv", "sift_fv")
STEPS = "import sys\nfrom pipeline.__main__ import app\n" + "".join(
    f"app([{stage!r}, {key!r}], standalone_mode=False)\n" for stage in ("codebook", "features") for key in FEATURES
)


def outputs(folder: Path, cache: Path) -> dict[str, str]:
    """Checksums of all codebooks and vectors, computed with a cache of compiled kernels."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", STEPS], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for name in ("codebooks", "features") for path in sorted((folder / name).rglob("*.np[yz]"))]
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_codebooks_and_vectors_are_the_same_cold_and_warm(tmp_path: Path) -> None:
    changes = {
        "features": list(FEATURES),
        "networks": [],
        "datasets.objects.images_per_class": {"train": 14, "val": 3, "test": 3},
        "fusions": [],
        "sift_vlad.features.centres": 4,
        "sift_vlad.features.sample": 2000,
        "sift_vlad.features.dimensions": 16,
        "color_fv.features.quantization": {"group": 4, "bits": 2, "sample": 500},
    }
    folder = make_project(tmp_path / "project", changes)
    prepared = subprocess.run([sys.executable, "-m", "pipeline", "prepare"], cwd=folder, capture_output=True)
    assert prepared.returncode == 0
    cold = outputs(folder, tmp_path / "cache")
    assert len(cold) == len(FEATURES) * 3
    assert outputs(folder, tmp_path / "cache") == cold
