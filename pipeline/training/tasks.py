"""From a recipe's settings and images to a training task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from pipeline import catalogue
from pipeline.augmentation.augmenter import Augmenter
from pipeline.augmentation.colors import principal_colors
from pipeline.data.contract import TrainingData
from pipeline.device import pick_device, pick_precision
from pipeline.networks.parts.switches import switch
from pipeline.settings import Augmentation, Compute, Training
from pipeline.training.images import Images, Normalisation
from pipeline.training.processes import ALONE, Processes, local_device


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


def make_task(
    key: str,
    parameters: Training,
    allowed: Augmentation,
    seed: int,
    data: TrainingData,
    compute: Compute,
    processes: Processes = ALONE,
) -> Task:
    """Train the network `key` as `parameters` say.

    Raises:
        PipelineError: the device is not there.
    """
    train, channels = data.train, data.channels
    device = local_device(pick_device(compute.device))
    if parameters.shift is not None:
        allowed = allowed.model_copy(update={"shift": min(parameters.shift, allowed.shift)})
    palette = principal_colors(train.images) if allowed.color else None
    return Task(
        build=lambda: build(key, parameters, data.image_shape, len(data.classes)),
        train=Images(train, channels, device),
        val=Images(data.val, channels, device),
        normalisation=Normalisation.of(train, channels, parameters.normalisation),
        augmenter=Augmenter(allowed, seed, parameters.flip, palette),
        device=device,
        precision=pick_precision(parameters.precision, device),
        seed=seed,
        processes=processes,
    )


def build(key: str, parameters: Training, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network with its switches, its weights not yet trained."""
    return switch(catalogue.BY_KEY[key].load().build(parameters, image_shape, classes), key, parameters)


def rebuild(
    key: str,
    parameters: Training,
    image_shape: tuple[int, int, int],
    classes: int,
    arrays: Mapping[str, torch.Tensor],
) -> nn.Module:
    """A trained network from its arrays.

    Raises:
        KeyError, ValueError, RuntimeError: an array is missing, or of another network.
    """
    module = catalogue.BY_KEY[key].load()
    again = getattr(module, "rebuild", None)  # of a network whose start is no random one
    if again is None:
        network = build(key, parameters, image_shape, classes)
    else:
        network = switch(again(parameters, image_shape, classes, arrays), key, parameters)
    network.load_state_dict(dict(arrays))
    return network
