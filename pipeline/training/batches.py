"""The batches of a pass over train, ready for a network: chosen, changed and normalised.

What an image gets depends on (seed, pass, image) alone, so a GPU prepares many batches at once, to the same bytes: a
small batch by itself would cost it more in launches and waits than in work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.device import to_device
from pipeline.training.images import to_input
from pipeline.training.pace import Pace
from pipeline.training.tasks import Task

PIXELS_AHEAD = 1 << 23  # that a GPU prepares at once: 8,192 images of 32×32, 167 of 224×224


@dataclass(frozen=True)
class Batch:
    """This process's share of a batch.

    Attributes:
        x: float32 (B, C, H, W), normalised, channels-last in memory.
        labels: int64 (B,).
        weight: what makes the mean loss of all processes the batch's; 0 where these images count as nothing.
        total: images in the batch, of all processes.
    """

    x: torch.Tensor
    labels: torch.Tensor
    weight: float
    total: int


def batches(task: Task, order: np.ndarray, pace: Pace, number: int) -> Iterator[Batch]:
    """The batches of one pass over train; what is left over joins the last.

    Args:
        order: int (N,), positions in train.
        pace: how they are cut.
        number: of the pass; decides with the seed how each image is changed.
    """
    size, steps = pace.batch_size, pace.steps
    cut = [order[step * size : (step + 1) * size if step < steps - 1 else None] for step in range(steps)]
    ahead = _ahead(task, size)
    for start in range(0, steps, ahead):
        yield from _prepared(task, cut[start : start + ahead], number)


def _prepared(task: Task, cut: list[np.ndarray], turn: int) -> Iterator[Batch]:
    shares = [task.processes.share(numbers) for numbers in cut]
    numbers = np.concatenate([mine for mine, _ in shares])
    x = to_input(task.augmenter(task.train.batch(numbers), numbers, turn), task.normalisation)
    labels = task.train.labels[to_device(numbers, task.device)]
    lengths = [len(mine) for mine, _ in shares]
    for part, some, whole, (_, weight) in zip(x.split(lengths), labels.split(lengths), cut, shares, strict=True):
        yield Batch(part, some, weight, len(whole))


def _ahead(task: Task, size: int) -> int:
    if task.device.type == "cpu":
        return 1  # more would leave its caches
    height, width = task.train.image_size
    return max(1, PIXELS_AHEAD // (size * height * width))
