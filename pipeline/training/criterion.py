"""What a network's training makes small."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from pipeline.errors import Senseless
from pipeline.settings import Training

#: Scores (B, classes) and labels, int64 (B,) → the mean loss of the batch, a scalar.
Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def criterion_of(network: nn.Module, settings: Training) -> Criterion:
    """The network's own (its method `loss`), or cross-entropy over classes, or over each class by itself.

    Raises:
        Senseless: settings that the network's own criterion does not know.
    """
    own: Criterion | None = getattr(network, "loss", None)
    smoothing = settings.label_smoothing
    if own is not None:
        if smoothing or settings.output != "softmax":
            raise Senseless(
                "this network has a criterion of its own, which knows no `label_smoothing` and no other `output`; set "
                "them to 0.0 and softmax"
            )
        return own
    if settings.output == "softmax":
        return nn.CrossEntropyLoss(label_smoothing=smoothing)

    def sigmoid(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        wanted = torch.full_like(scores, smoothing / scores.shape[1])
        wanted.scatter_(1, labels[:, None], 1 - smoothing + smoothing / scores.shape[1])
        return nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / len(scores)

    return sigmoid
