"""How sharply the loss bends along each weight: the diagonal of the Gauss-Newton matrix, from some images of train."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.errors import Senseless
from pipeline.settings import Training

IMAGES = 500  # of train, as in LeNet-5's paper
NUMBERS = 100_000_000  # gradients in memory at once: for so many images as have no more


def curvature(network: nn.Module, x: torch.Tensor, settings: Training, random: torch.Generator) -> list[torch.Tensor]:
    """The diagonal of the Gauss-Newton approximation of the Hessian (LeCun et al. 1998, appendix C), ≥ 0.

    The paper carries second derivatives backwards and leaves out what couples units. Here gradients are squared, those
    for answers drawn as the network's own scores have it, not for the labels: their mean is the diagonal itself, shared
    weights included, but for the chance of the draw.

    Args:
        network: in evaluation mode, so that no image's scores depend on the others.
        x: normalised images, float32 (N, channels, H, W).
        random: on the CPU; what answers are drawn with.

    Returns:
        float32, one for each trained parameter and of its shape, in the network's order.

    Raises:
        Senseless: the network normalises by its batch, or answers cannot be drawn from its criterion.
    """
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules()):
        raise Senseless(
            "batch normalisation leaves no image a gradient of its own, as `optimizer: levenberg_marquardt` needs; "
            "take another optimizer, or set the network's `batch_norm` to false where it can be"
        )
    trained = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}
    others = dict(network.named_buffers()) | {
        name: value for name, value in network.named_parameters() if not value.requires_grad
    }

    def along(weights: dict[str, torch.Tensor], image: torch.Tensor, pull: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = torch.func.functional_call(network, (weights, others), (image[None],))
        return (scores[0] * pull).sum()

    gradients = torch.func.vmap(torch.func.grad(along), in_dims=(None, 0, 0))
    with torch.no_grad():
        pulls = _pulls(network, network(x), settings, random)
    sums = [torch.zeros_like(value) for value in trained.values()]
    at_once = max(1, NUMBERS // sum(value.numel() for value in trained.values()))
    for images, pull in zip(x.split(at_once), pulls.split(at_once), strict=True):
        of_each = gradients(trained, images, pull)
        for total, name in zip(sums, trained, strict=True):
            total += of_each[name].square().sum(dim=0)
    return [total / len(x) for total in sums]


def _pulls(network: nn.Module, scores: torch.Tensor, settings: Training, random: torch.Generator) -> torch.Tensor:
    """The loss's gradients by the scores (N, classes) for drawn answers; their mean square is its second derivative."""
    if settings.output == "sigmoid":
        chances = scores.sigmoid()
        return chances - torch.bernoulli(chances.cpu(), generator=random).to(scores.device)
    rubbish: float | None = getattr(network, "rubbish", None)
    if rubbish is None and hasattr(network, "loss"):
        raise Senseless(
            "this network's criterion has no curvature, by which `optimizer: levenberg_marquardt` moves; take another"
        )
    if rubbish is None:
        chances = scores.softmax(dim=1)
    else:  # one more answer: none of the classes
        chances = torch.cat([scores, scores.new_full((len(scores), 1), -rubbish)], dim=1).softmax(dim=1)
    answers = torch.multinomial(chances.cpu(), 1, generator=random).to(scores.device)
    return chances.scatter_add(1, answers, torch.full_like(chances[:, :1], -1.0))[:, : scores.shape[1]]
