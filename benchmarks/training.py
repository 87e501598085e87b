"""Training: our loop against the bare step, and against the loop that most people write.

The bare step is forward, backward and update of the same network on one batch that is always the same, normalised
already, in the precision and memory layout that we use: what no loop can beat. The plain loop, measured on CPUs alone,
is float32 with a DataLoader of two processes whose images pass through PIL, one by one, for the same mirror and shift.
All see batches of the same size, of real images where they are small, and take turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.measure import Row, cifar_images, medians
from benchmarks.project import make_project
from pipeline import catalogue, settings
from pipeline.augmentation.augmenter import Augmenter
from pipeline.data.contract import Split
from pipeline.device import device_name, pick_device, pick_precision
from pipeline.networks.parts.switches import switch
from pipeline.settings import STILL, Training
from pipeline.training import loop
from pipeline.training.images import Images, Normalisation, to_input
from pipeline.training.memory import keep_freed_memory
from pipeline.training.optimizers import Optimizer
from pipeline.training.prediction import forward
from pipeline.training.tasks import Task


@dataclass(frozen=True)
class Case:
    """What is trained: a network with changed settings, on so many images of a side a turn."""

    network: str
    images: int
    changes: dict[str, Any] = field(default_factory=dict)
    side: int = 32


# Once an epoch a batch is watched, which airbench's large ones make dear; an epoch of CIFAR-10 has 45 of them.
CPU_CASES = (Case("resnet20", 2560), Case("alexnet", 2560), Case("airbench", 10_000, {"width": 1.0}))
EPOCH = 45_000  # of CIFAR-10: on a GPU, what is done once an epoch takes as long as several steps
GPU_CASES = (
    Case("resnet20", EPOCH),
    Case("resnet20", EPOCH, {"compile": True}),
    Case("alexnet", EPOCH),
    Case("airbench", EPOCH, {"width": 1.0}),
    Case("alexnet", 8192, {"width": 1.0}, side=227),
    Case("resnet50", 6144, side=224),
)
BARE, PLAIN = 0.9, 1.8
REPEATS = 3
ALLOWED = STILL.model_copy(update={"mirror": True, "shift": 4})


def run(data_root: Path) -> list[Row]:
    keep_freed_memory()
    device = pick_device("auto")
    with tempfile.TemporaryDirectory() as name:
        chosen = settings.load(make_project(Path(name) / "project", {"budget": "standard"}) / "params.yaml")
    return [
        row
        for case in (CPU_CASES if device.type == "cpu" else GPU_CASES)
        for row in measure(case, chosen, data_root, device)
    ]


def measure(case: Case, chosen: settings.Settings, data_root: Path, device: torch.device) -> list[Row]:
    """One network's rate beside the bare step's, and on CPUs beside the plain loop's."""
    images = _images(case, data_root)
    normalisation = Normalisation.of(Split("train", images, np.arange(len(images)), []), 3)
    images = images[np.arange(case.images) % len(images)]  # over and over again, where there are not so many
    split = Split("train", images, np.arange(case.images) % 10, [])
    parameters = chosen.network(case.network).model_copy(update=case.changes)
    task = _task(case, parameters, split, normalisation, device)
    turns = [_ours(task, parameters), _bare(task, parameters)]
    if device.type == "cpu":
        turns.append(_plain(task, parameters, split))
    ours, bare, *plain = (case.images / seconds for seconds in medians(turns, REPEATS))
    compiled = ", compiled" if parameters.compile else ""
    where = f"batch {parameters.batch_size}{compiled}, {device_name(device)}"
    label = f"training, {case.network}, {case.side}×{case.side}, {where}"
    return [
        Row(label, ours, bare, "bare step, same precision", "images/s", BARE),
        *(Row(label, ours, rate, "plain float32 loop, DataLoader, PIL", "images/s", PLAIN) for rate in plain),
    ]


def _images(case: Case, data_root: Path) -> np.ndarray:
    """Real ones of CIFAR-10, or random ones where larger ones are wanted."""
    if case.side == 32:
        return cifar_images(data_root, case.images)
    return np.random.default_rng(0).integers(0, 256, (min(case.images, 512), case.side, case.side, 3), np.uint8)


def _task(case: Case, parameters: Training, split: Split, normalisation: Normalisation, device: torch.device) -> Task:
    module = catalogue.BY_KEY[case.network].load()
    data = Images(split, 3, device)
    shape = (3, case.side, case.side)
    return Task(
        build=lambda: switch(module.build(parameters, shape, 10), case.network, parameters),
        train=data,
        val=data,
        normalisation=normalisation,
        augmenter=Augmenter(ALLOWED, 0, parameters.flip),
        device=device,
        precision=pick_precision(parameters.precision, device),
        seed=0,
    )


def _ours(task: Task, parameters: Training) -> Callable[[], None]:
    """An epoch as `fit` trains it, but for the look at val."""
    run = loop.Run(task, parameters, 0.01, 100)
    return lambda: _waiting(task.device, lambda: run.train_epoch(lambda count, note: None))


def _bare(task: Task, parameters: Training) -> Callable[[], None]:
    run = loop.Run(task, parameters, 0.01, 100)
    run.network.train()
    numbers = np.arange(parameters.batch_size)
    x, labels = to_input(task.train.batch(numbers), task.normalisation), task.train.labels[: parameters.batch_size]

    def epoch() -> None:
        for _ in range(run.steps):
            loss = run.criterion(forward(run.compiled, x, task.precision), labels)
            run.optimizer.zero_grad()
            loss.backward()
            run.optimizer.step(0.01, 0.5)

    return lambda: _waiting(task.device, epoch)


def _plain(task: Task, parameters: Training, split: Split) -> Callable[[], None]:
    network = task.build().to(task.device)
    optimizer = Optimizer(network, parameters)
    normalisation = task.normalisation
    loader = torch.utils.data.DataLoader(
        _PilImages(split, normalisation),
        parameters.batch_size,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        drop_last=False,
    )

    def epoch() -> None:
        network.train()
        for x, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x.to(task.device)), labels.to(task.device))
            loss.backward()
            optimizer.step(0.01, 0.5)

    return lambda: _waiting(task.device, epoch)


class _PilImages(torch.utils.data.Dataset[Any]):
    """Images, one by one, mirrored and shifted by PIL."""

    def __init__(self, split: Split, normalisation: Normalisation) -> None:
        self._images, self._labels = split.images, split.labels
        self._random = np.random.default_rng(0)
        self._mean, self._std = (
            torch.tensor(values)[:, None, None] for values in (normalisation.mean, normalisation.std)
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self._images[index])
        if self._random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        padded = Image.new("RGB", (40, 40))
        padded.paste(image, (4, 4))
        x, y = self._random.integers(0, 9, 2)
        image = padded.crop((x, y, x + 32, y + 32))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
        return (pixels - self._mean) / self._std, int(self._labels[index])


def _waiting(device: torch.device, work: Callable[[], Any]) -> None:
    """Do it, and wait for the device."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
