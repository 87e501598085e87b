"""Scores of a trained network, from one view of each image or averaged over several."""

from __future__ import annotations

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


@torch.no_grad()
def predict(network: nn.Module, on: On, images: Readable, views: str = "single") -> np.ndarray:
    """Scores of all images, float32 (N, classes).

    Args:
        views: "single"; "mirror": the mean of the image's scores and its mirror image's; "mirror_shift": that, and as
            much weight on both moved by a pixel along the diagonal, up and down.
    """
    network.eval()
    mine = np.array_split(np.arange(len(images)), on.processes.world)[on.processes.rank]
    own = len(mine)
    mine = mine if own else np.arange(1)  # of fewer images than processes; they are left out below
    parts, start, size = [], 0, EVAL_BATCH
    while start < len(mine):
        try:
            x = to_input(images.batch(mine[start : start + size]), on.normalisation)
            seen = [weight * forward(network, view, on.precision) for weight, view in views_of(x, views)]
            parts.append(torch.stack(seen).sum(0))
            start += size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
            size //= 2
    return on.processes.gather(torch.cat(parts)[:own].cpu().numpy())


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
