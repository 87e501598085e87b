"""The race to 94 % on CIFAR-10, on a GPU: our trainer and network of today against the package airbench, whose it is.

All train a few times in turns on the same card, and name their six views of test; times are of the training alone,
ours with its look at val after each epoch, and after a first run that warms up: what `compile: true` compiles there,
later runs find. The package learns from all 50,000 images; ours keeps 5,000 for val.
Needs `pip install airbench torchvision`, and CIFAR-10.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Row, Skipped, cifar_images
from benchmarks.project import make_project
from pipeline import settings
from pipeline.data.contract import SPLITS, load_split, load_training_data
from pipeline.device import device_name, pick_device
from pipeline.settings import Training
from pipeline.training.images import Images
from pipeline.training.loop import fit
from pipeline.training.prediction import predict
from pipeline.training.tasks import Task, make_task

EPOCHS, RATE, RUNS = 10, 0.24, 3
WITHIN = 1.5  # times the package's time


def run(data_root: Path) -> list[Row]:
    device = pick_device("auto")
    if device.type != "cuda":
        raise Skipped("the package airbench needs a GPU")
    try:
        airbench = import_module("airbench")
    except ImportError as error:
        raise Skipped("the package airbench is missing; pip install airbench torchvision") from error
    cifar_images(data_root, 1)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(_prepared(Path(name), data_root)):
        turns = [_ours(compiled=False), _ours(compiled=True), _theirs(airbench)]
        found: list[list[tuple[float, float]]] = [[] for _ in turns]
        for number in range(RUNS + 1):
            for results, turn in zip(found, turns, strict=True):
                result = turn(number)
                if number:  # the first warms up
                    results.append(result)
    plain, compiled, theirs = ([statistics.mean(values) for values in zip(*runs, strict=True)] for runs in found)
    rows = []
    for kind, (seconds, wrong) in (("", plain), ("compiled, ", compiled)):
        case = f"CIFAR-10, ten epochs, {kind}means of {RUNS} runs, {device_name(device)}"
        rows.append(Row(f"{case}, training", seconds, theirs[0], "airbench94", "s", 1 / WITHIN))
        rows.append(Row(f"{case}, test error", 100 * wrong, 100 * theirs[1], "airbench94", "%", None))
    return rows


def _prepared(folder: Path, data_root: Path) -> Path:
    changes = {"dataset": "cifar10", "budget": "standard", "prepare.data_root": str(data_root.resolve())}
    own = {"width": 1.0, "epochs": EPOCHS, "batch_size": 1000, "views": "mirror_shift"}
    project = make_project(folder / "project", changes | {f"airbench.{name}": value for name, value in own.items()})
    subprocess.run([sys.executable, "-m", "pipeline", "prepare"], cwd=project, check=True, capture_output=True)
    return project


def _ours(compiled: bool) -> Callable[[int], tuple[float, float]]:
    """(seconds, test error) of a seed."""
    chosen = settings.load()
    parameters: Training = chosen.network("airbench").model_copy(update={"compile": compiled})
    data, test = load_training_data(), load_split("test")

    def once(seed: int) -> tuple[float, float]:
        torch.backends.cudnn.benchmark = False
        task: Task = make_task("airbench", parameters, chosen.source.augmentation, seed, data, chosen.compute)
        with _timed() as seconds:
            network, _ = fit(task, parameters, RATE, EPOCHS, None, lambda count, note: None)
        scores = predict(network, task, Images(test, 3, task.device), parameters.views)
        return seconds[0], float((scores.argmax(axis=1) != test.labels).mean())

    return once


def _theirs(airbench: Any) -> Callable[[int], tuple[float, float]]:
    """The package reads cifar10/ in the current folder."""
    splits = {name: load_split(name) for name in SPLITS}
    Path("cifar10").mkdir()
    parts = {"train": [splits["train"], splits["val"]], "test": [splits["test"]]}
    for name, some in parts.items():
        images = torch.cat([torch.from_numpy(split.images[:]) for split in some])
        labels = torch.cat([torch.from_numpy(split.labels) for split in some])
        torch.save({"images": images, "labels": labels, "classes": list(range(10))}, f"cifar10/{name}.pt")

    def once(seed: int) -> tuple[float, float]:
        torch.manual_seed(seed)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False  # as the package sets them
        with _timed() as seconds:
            network = airbench.train94(verbose=False)
        loader = airbench.CifarLoader("cifar10", train=False, batch_size=2000)
        return seconds[0], 1 - airbench.evaluate(network, loader, tta_level=2)

    return once


@contextlib.contextmanager
def _timed() -> Iterator[list[float]]:
    """Afterwards the list holds the seconds that it took, the device's work included."""
    seconds: list[float] = []
    torch.cuda.synchronize()
    started = time.perf_counter()
    yield seconds
    torch.cuda.synchronize()
    seconds.append(time.perf_counter() - started)
