"""A network that an earlier run of this project trained on other images: the folder of its fitted model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pipeline import catalogue
from pipeline.errors import PipelineError
from pipeline.models.folder import ARRAYS, load
from pipeline.models.network import Network
from pipeline.pretrained.backbone import Backbone, Body, Entry, without_last
from pipeline.pretrained.weights import check_digest, locate
from pipeline.settings import Compute, Weights
from pipeline.training.tasks import build

ARCHITECTURE = "architecture"  # among a body's arrays: how its network is built, so that it can be built again
CPU = Compute(device="cpu", workers=1, backend="threading", scheduler=None)


class Described(Body):
    """A body that holds with its arrays how it is built."""

    def __init__(self, entry: Entry, network: torch.nn.Module, architecture: torch.Tensor) -> None:
        """architecture: JSON as bytes."""
        super().__init__(entry, without_last(network))
        self.register_buffer(ARCHITECTURE, architecture)


class Earlier(Backbone):
    """Any network of this project, as its fitted model holds it; images are brought to the size that it learned on."""

    def load(self, weights: Weights, side: int | None) -> Body:
        """See Backbone; the last layer's weights, which know other classes, are left out."""
        folder = locate(weights)
        if not folder.is_dir():
            raise PipelineError(
                f"{folder}: is no folder of a fitted model; copy one here from an earlier run's models/, such as "
                "models/resnet20"
            )
        stored = load(folder, CPU)
        check_digest(folder / ARRAYS, weights.sha256)
        model, card = stored.model, stored.card
        if not isinstance(model, Network) or catalogue.BY_KEY[card.method].family != "network":
            raise PipelineError(
                f"{folder}: is the model of {card.method}, which is no network that learned from its own images "
                "alone; copy the folder of one that `networks` selected"
            )
        normal = model.normalisation
        size = (model.image_shape[1], model.image_shape[2])
        entry = Entry(model.image_shape[0], size, tuple(normal.mean), tuple(normal.std))
        return Described(entry, model.network, _as_bytes(_described(model, len(card.classes))))

    def empty(self, side: int | None, arrays: Mapping[str, torch.Tensor]) -> Body:
        """See Backbone."""
        stored = arrays[ARCHITECTURE]
        found = json.loads(stored.numpy().tobytes())
        settings = catalogue.BY_KEY[found["network"]].load().Settings.model_validate(found["settings"])
        channels, height, width = found["image_shape"]
        network = build(found["network"], settings, (channels, height, width), found["classes"])
        entry = Entry(channels, (height, width), (0.0,) * channels, (1.0,) * channels)
        return Described(entry, network, torch.zeros_like(stored))


def _described(model: Network, classes: int) -> dict[str, Any]:
    return {
        "network": model.recipe.key,
        "settings": model.recipe.settings.model_dump(),
        "image_shape": list(model.image_shape),
        "classes": classes,
    }


def _as_bytes(architecture: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(json.dumps(architecture).encode(), np.uint8).copy())
