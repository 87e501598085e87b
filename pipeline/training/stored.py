"""A trained network in results/cnn/<network>/: weights as safetensors, all else as JSON; nothing is unpickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline import catalogue
from pipeline.catalogue import Method
from pipeline.errors import PipelineError
from pipeline.files import read_json, write_json
from pipeline.networks.parts.sizes import listed
from pipeline.networks.parts.switches import switch
from pipeline.settings import Training
from pipeline.training.images import Normalisation

WEIGHTS, ARCHITECTURE = "model.safetensors", "architecture.json"
MUON_SINCE = 2024  # its publication, so that no older network's was trained by it
BY_LEVENBERG_MARQUARDT = ("lenet5",)  # as published
SCHEDULES_SINCE = 2018  # older networks' rates fell in steps, or not at all
SCHEDULES = {"one_cycle": "a one-cycle learning rate", "cosine": "a learning rate that falls like a cosine", "step": ""}
SMOOTHING_SINCE = 2016  # label smoothing, and averages over the last steps
SWITCHES = ("activation", "dropout", "batch_norm", "pooling", "start")


@dataclass(frozen=True)
class Stored:
    """A network that can score new images.

    Attributes:
        network: with its weights, in evaluation mode.
        image_shape: (channels, H, W) of what it takes.
        classes: names, in the order of its scores.
        normalisation: of its input.
    """

    network: nn.Module
    image_shape: tuple[int, int, int]
    classes: list[str]
    normalisation: Normalisation


def store(folder: Path, key: str, settings: Training, stored: Stored) -> None:
    """Write the network, and what is needed to build it again."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in stored.network.state_dict().items()}
    try:
        save_file(weights, folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise PipelineError(
            f"{folder / WEIGHTS} could not be written ({error}); make room on that disk and run again: the training "
            "goes on where it was"
        ) from error
    architecture = {
        "network": key,
        "variant": variant(key, settings, stored.image_shape),
        "settings": settings.model_dump(),
        "image_shape": list(stored.image_shape),
        "classes": stored.classes,
        "mean": stored.normalisation.mean,
        "std": stored.normalisation.std,
    }
    write_json(folder / ARCHITECTURE, architecture)


def variant(key: str, settings: Training, image_shape: tuple[int, int, int]) -> str:
    """How the network or its training differs from the publication, in words; "" where it doesn't."""
    method = catalogue.BY_KEY[key]
    built: str = method.load().variant(settings, image_shape)
    schedule = SCHEDULES[settings.schedule]
    rise = "a learning rate that rises at first" if settings.schedule == "step" and settings.warm_up > 0 else ""
    schedule = schedule or rise if method.year < SCHEDULES_SINCE else ""
    return listed(
        built, *_switched(settings), _optimizer(method, settings), schedule, *_since_2016(method.year, settings)
    )


def _optimizer(method: Method, settings: Training) -> str:
    if settings.optimizer == "muon" and method.year < MUON_SINCE:
        return "trained by Muon"
    if settings.optimizer == "levenberg_marquardt" and method.key not in BY_LEVENBERG_MARQUARDT:
        return "trained by Levenberg and Marquardt's method"
    return ""


def _since_2016(year: int, settings: Training) -> list[str]:
    if year >= SMOOTHING_SINCE:
        return []
    smoothing = f"label smoothing {settings.label_smoothing:g}" if settings.label_smoothing else ""
    return [smoothing, "averaged weights" if settings.average is not None else ""]


def _switched(settings: Training) -> list[str]:
    """Each part that a switch has changed, in words."""
    values = {name: getattr(settings, name) for name in SWITCHES}
    words = {True: "yes", False: "no"}
    return [
        f"{name.replace('_', ' ')}: {words[value] if isinstance(value, bool) else value}"
        for name, value in values.items()
        if value is not None and (name, value) != ("start", "paper")
    ]


def load(folder: Path) -> Stored:
    """Read it back, on the CPU.

    Raises:
        PipelineError: it is missing, damaged, or of other code; the sentence names the stage to rerun.
    """
    stage = f"cnn@{folder.name}"
    found: dict[str, Any] = read_json(folder / ARCHITECTURE, stage)
    try:
        key = found["network"]
        module = catalogue.BY_KEY[key].load()
        settings = module.Settings(**found["settings"])
        channels, height, width = found["image_shape"]
        network = switch(module.build(settings, (channels, height, width), len(found["classes"])), key, settings)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PipelineError(f"{folder}: the network cannot be read ({reason}); rerun the stage {stage}") from error
    return Stored(
        network.eval().to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        (channels, height, width),
        found["classes"],
        Normalisation(found["mean"], found["std"]),
    )
