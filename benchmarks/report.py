"""The report on synthetic scores: seconds to build, MiB, and how long Chromium takes until it can be used."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Row
from benchmarks.project import make_project
from benchmarks.synthetic_results import write_data, write_results

FEW = ["color_histogram", "hog", "sift_bow", "textons", "sift_fv", "color_fv", "xrce2011", "all_classical",
       "lenet5", "alexnet", "vgg11", "resnet20", "airbench"]  # fmt: skip
MANY = ["color_histogram", "gabor", "textons", "sift_bow", "hog", "sift_vlad", "sift_fv", "color_fv", "xrce2011",
        "all_classical", "lenet5", "alexnet", "vgg11", "resnet20", "airbench"]  # fmt: skip
TEN = [
    "color_histogram",
    "hog",
    "sift_bow",
    "sift_fv",
    "color_fv",
    "xrce2011",
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
]
CASES: dict[str, dict[str, Any]] = {
    "default demo": {"keys": FEW, "classes": 20, "test": 2000, "side": 48, "seconds": 10.0, "mib": 3.0},
    "CIFAR-10, 15 methods": {"keys": MANY, "classes": 10, "test": 10_000, "side": 32, "seconds": 20.0, "mib": 5.0},
    "1,000 classes, 10 methods": {
        "keys": TEN,
        "classes": 1000,
        "test": 50_000,
        "side": 64,
        "seconds": 60.0,
        "mib": 8.0,
    },
}
USABLE = 2.0  # seconds


def run(data_root: Path) -> list[Row]:
    rows = []
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            rows += _case(f"report, {name}", Path(folder) / "project", case)
    return rows


def selected(keys: list[str]) -> dict[str, Any]:
    """What params.yaml says where these methods are selected."""
    from pipeline import catalogue

    of = {family: [key for key in keys if catalogue.BY_KEY[key].family == family]
          for family in ("feature", "fusion", "network")}  # fmt: skip
    return {"features": of["feature"], "fusions": of["fusion"], "networks": of["network"]}


def prepare(folder: Path, case: dict[str, Any]) -> None:
    """A project with the case's data and results."""
    make_project(folder, selected(case["keys"]))
    before = Path.cwd()
    os.chdir(folder)
    try:
        counts = {"train": 20 * case["classes"], "val": 2 * case["classes"], "test": case["test"]}
        splits = write_data([f"class {number}" for number in range(case["classes"])], counts, case["side"])
        write_results(splits, case["classes"], case["keys"])
    finally:
        os.chdir(before)


def _case(name: str, folder: Path, case: dict[str, Any]) -> list[Row]:
    prepare(folder, case)
    _stage(folder, "evaluate")
    seconds = _stage(folder, "report")
    page = folder / "reports" / "index.html"
    rows = [
        Row(f"{name}: to build", seconds, case["seconds"], "allowed", "s", 1),
        Row(f"{name}: size", page.stat().st_size / 2**20, case["mib"], "allowed", "MiB", 1),
        Row(f"{name}: peak memory so far", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, None, "",
            "GiB", None),
    ]  # fmt: skip
    usable = until_usable(page)
    if usable is not None:
        rows.append(Row(f"{name}: until usable in Chromium", usable, USABLE, "allowed", "s", 1))
    return rows


def _stage(folder: Path, stage: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pipeline", stage], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{stage} failed: {done.stderr.strip()[-500:]}")
    return time.perf_counter() - started


def until_usable(page: Path) -> float | None:
    """Seconds from opening the page until its script has run, median of three; None without a browser."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if executable is None:
        return None
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(3):
            tab = browser.new_page()
            started = time.perf_counter()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("html[data-ready=yes]", state="attached")
            found.append(time.perf_counter() - started)
            tab.close()
        browser.close()
    return sorted(found)[1]
