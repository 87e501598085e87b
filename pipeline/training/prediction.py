"""Scores of a trained network, from one view of each image or averaged over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn

from pipeline.training.criterion import Criterion
from pipeline.training.images import Images, Normalisation, to_input
from pipeline.training.memory import out_of_memory
from pipeline.training.processes import Processes

EVAL_BATCH = 512  # images at once; fewer where memory ends


class On(Protocol):
    """Where and how a network computes."""

    @property
    def normalisation(self) -> Normalisation:
        """Of its input."""

    @property
    def precision(self) -> torch.dtype:
        """Of convolutions and matrix products."""

    @property
    def processes(self) -> Processes:
        """Among which images are shared out."""


class Readable(Protocol):
    """Images that are read in batches; see training.images."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, numbers: np.ndarray) -> torch.Tensor:
        """Those of these rising numbers, uint8 (B, H, W, C) on the device."""


def forward(network: nn.Module, x: torch.Tensor, precision: torch.dtype) -> torch.Tensor:
    """Scores of normalised images, float32 (B, classes)."""
    with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
        scores: torch.Tensor = network(x)
    return scores.float()


def predict(network: nn.Module, on: On, images: Readable, views: str = "single") -> np.ndarray:
    """Scores of all images, float32 (N, classes).

    Args:
        views: "single"; "mirror": the mean of the image's scores and its mirror image's; "mirror_shift": that, and as
            much weight on both moved by a pixel along the diagonal, up and down.
    """

    def scores(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (_averaged(network, on, x, views),)

    return _in_batches(network, on, images, scores)[0]


def predict_and_watch(
    network: nn.Module, on: On, images: Readable, views: str, watched: Sequence[nn.Module]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores as `predict` gives them, and in the same pass what enters some layers.

    Args:
        watched: the layers; of several views they are watched on the first, the image itself.

    Returns:
        scores: float32 (N, classes).
        last: what enters the last of the layers, float32 (N, d).
        traces: of every layer but the first, what enters it, averaged over places: its direction, and the natural
            logarithm of its length; float32 (N, d').
    """
    entered: dict[nn.Module, torch.Tensor] = {}
    latest: list[torch.Tensor] = []

    def watch(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if layer not in entered:
            entered[layer] = _over_places(inputs[0])
            latest[:] = inputs[:1]

    def scores(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        entered.clear()  # of a batch that did not fit in memory, too
        found = _averaged(network, on, x, views)
        traces = list(entered.values())[1:] or list(entered.values())
        return found, latest[0].flatten(1).float(), torch.cat([part for one in traces for part in _direction(one)], 1)

    hooks = [layer.register_forward_pre_hook(watch) for layer in watched]
    try:
        first, last, traces = _in_batches(network, on, images, scores)
    finally:
        for hook in hooks:
            hook.remove()
    return first, last, traces


def _over_places(x: torch.Tensor) -> torch.Tensor:
    """What enters a layer, (B, C, H, W) or (B, C) → float32 (B, C)."""
    return x.mean((2, 3), dtype=torch.float32) if x.dim() == 4 else x.flatten(1).float()


def _direction(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (B, C) of length 1, and the logarithms of the lengths that they had, (B, 1)."""
    length = x.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return x / length, length.log()


def _averaged(network: nn.Module, on: On, x: torch.Tensor, views: str) -> torch.Tensor:
    seen = [weight * forward(network, view, on.precision) for weight, view in views_of(x, views)]
    return torch.stack(seen).sum(0)


@torch.no_grad()
def _in_batches(
    network: nn.Module, on: On, images: Readable, step: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
) -> list[np.ndarray]:
    """What `step` finds in normalised images (B, C, H, W), of all images; in smaller batches where memory ends."""
    network.eval()
    mine = np.array_split(np.arange(len(images)), on.processes.world)[on.processes.rank]
    own = len(mine)
    mine = mine if own else np.arange(1)  # of fewer images than processes; they are left out below
    parts, start, size = [], 0, EVAL_BATCH
    while start < len(mine):
        try:
            found = step(to_input(images.batch(mine[start : start + size]), on.normalisation))
            parts.append([one.cpu() for one in found])
            start += size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
            size //= 2
    return [on.processes.gather(torch.cat(column)[:own].numpy()) for column in zip(*parts, strict=True)]


def evaluate(network: nn.Module, on: On, images: Images, criterion: Criterion) -> dict[str, float]:
    """Mean of the loss that the network is trained by, and top-1 error, from one view."""
    scores = torch.from_numpy(predict(network, on, images))
    labels = images.labels.cpu()
    loss = float(criterion(scores, labels))
    error = float((scores.argmax(dim=1) != labels).float().mean())
    return {"loss": loss, "error": error}


#: How many views each choice has.
VIEWS = {"single": 1, "mirror": 2, "mirror_shift": 6}


def views_of(x: torch.Tensor, views: str) -> list[tuple[float, torch.Tensor]]:
    """The views of normalised images (B, C, H, W), each with its weight in the mean of the scores; see predict."""
    if views == "single":
        return [(1.0, x)]
    places = [(1.0, x)]
    if views == "mirror_shift":
        height, width = x.shape[-2:]
        padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
        shifted = [padded[:, :, offset : offset + height, offset : offset + width] for offset in (0, 2)]
        places = [(0.5, x), *((0.25, one) for one in shifted)]
    return [(weight / 2, view) for weight, place in places for view in (place, place.flip(3))]
