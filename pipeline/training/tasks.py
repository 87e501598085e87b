"""From params.yaml and data/ to a training task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline import catalogue
from pipeline.data.contract import Split
from pipeline.device import pick_device, pick_precision
from pipeline.networks.parts.switches import Senseless, switch
from pipeline.settings import Settings, Training
from pipeline.training.augmentation import Augmenter
from pipeline.training.colors import principal_colors
from pipeline.training.images import Images, Normalisation
from pipeline.training.processes import ALONE, Processes, local_device
from pipeline.workfolder import work_folder


@dataclass(frozen=True)
class Task:
    """What is trained on what."""

    build: Callable[[], nn.Module]
    train: Images
    val: Images
    normalisation: Normalisation
    augmenter: Augmenter
    device: torch.device
    precision: torch.dtype
    seed: int
    processes: Processes = ALONE


def channels_of(manifest: dict[str, Any]) -> int:
    """1 where all images are grey."""
    return 1 if manifest["grey"] else 3


def shape_of(manifest: dict[str, Any]) -> tuple[int, int, int]:
    """(channels, H, W)."""
    height, width, _ = manifest["image_shape"]
    return channels_of(manifest), height, width


def make_task(
    key: str,
    chosen: Settings,
    parameters: Training,
    manifest: dict[str, Any],
    splits: dict[str, Split],
    processes: Processes = ALONE,
) -> Task:
    """Train the network `key` as `parameters` say on what lies in data/.

    Raises:
        Senseless: the batch is larger than train, or views need a mirror that the data set does not allow.
        PipelineError: the device is not there.
    """
    if parameters.views != "single" and not chosen.source.augmentation.mirror:
        raise Senseless(
            f"`{key}.views` is {parameters.views}, but `datasets.{chosen.dataset}.augmentation.mirror` is false: "
            "mirror images would be of other classes; set it to single"
        )
    train, channels = splits["train"], channels_of(manifest)
    if parameters.batch_size > len(train):
        raise Senseless(
            f"`{key}.batch_size` is {parameters.batch_size}, but train has {len(train)} images; set it to "
            f"{len(train)} or less"
        )
    device = local_device(pick_device(chosen.compute.device))
    module = catalogue.BY_KEY[key].load()
    shape, classes = shape_of(manifest), len(manifest["classes"])
    allowed = chosen.source.augmentation
    if parameters.shift is not None:
        allowed = allowed.model_copy(update={"shift": min(parameters.shift, allowed.shift)})
    palette = principal_colors(train.images) if allowed.color else None
    return Task(
        build=lambda: switch(module.build(parameters, shape, classes), key, parameters),
        train=Images(train, channels, device),
        val=Images(splits["val"], channels, device),
        normalisation=Normalisation.of(train, channels, parameters.normalisation),
        augmenter=Augmenter(allowed, chosen.seed, parameters.flip, palette),
        device=device,
        precision=pick_precision(parameters.precision, device),
        seed=chosen.seed,
        processes=processes,
    )


def work_folder_of(step: str, chosen: Settings, parameters: Training, manifest: dict[str, Any], task: Task) -> Path:
    """Where a training leaves its checkpoints: another folder for whatever leads to other weights.

    Not for another list of learning rates: each rate's try and checkpoint are its own, so that whoever lowers the list
    after a divergence goes on from what the rates in both lists have reached.
    """
    code = Path(__file__).parents[1]
    return work_folder(
        step,
        [code / "networks", code / "training", code / "randomness.py"],
        parameters=parameters.model_dump(exclude={"learning_rates"}),
        splits=manifest["splits"],
        augmentation=chosen.source.augmentation.model_dump(),
        precision=str(task.precision),
        device=task.device.type,
        seed=chosen.seed,
    )
