"""The curvature by which Levenberg and Marquardt's method moves, against second derivatives by torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.networks import lenet5, perceptron
from pipeline.settings import Training
from pipeline.training import curvature as module
from pipeline.training.curvature import curvature
from tests.test_networks import KEYS, build
from tests.test_training import PLAN

DRAWS = 20_000


def measured(network: nn.Module, image: torch.Tensor, **changes: Any) -> list[torch.Tensor]:
    """Of one image, by so many draws that chance leaves some hundredths."""
    random = torch.Generator().manual_seed(1)
    return curvature(network.eval(), image.expand(DRAWS, *image.shape[1:]), Training(**(PLAN | changes)), random)


def second_derivatives(network: nn.Module, image: torch.Tensor, criterion: Any) -> list[torch.Tensor]:
    """The diagonal of the Gauss-Newton matrix by the Hessian of the loss at the scores, and the scores' Jacobian."""
    weights = dict(network.named_parameters())
    scores = network(image)[0].detach()
    bend = torch.func.hessian(lambda row: criterion(row[None], torch.tensor([0])))(scores)
    slopes = torch.func.jacrev(lambda values: torch.func.functional_call(network, values, (image,))[0])(weights)
    return [torch.einsum("c...,cd,d...->...", slopes[name], bend, slopes[name]) for name in weights]


def two_layers() -> nn.Module:
    """With a convolution, whose weights are shared, and a bias."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


def sigmoid(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    wanted = nn.functional.one_hot(labels, scores.shape[1]).float()
    return nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")


@pytest.mark.parametrize(
    ("output", "criterion"),
    [("softmax", nn.functional.cross_entropy), ("sigmoid", sigmoid)],
    ids=["softmax", "sigmoid"],
)
def test_it_is_the_diagonal_of_the_gauss_newton_matrix(output: str, criterion: Any) -> None:
    network, image = two_layers(), torch.randn(1, 1, 4, 4)
    exact = second_derivatives(network, image, criterion)
    for found, right in zip(measured(network, image, output=output), exact, strict=True):
        torch.testing.assert_close(found, right, rtol=0.1, atol=0.03 * float(right.detach().max()))


def test_equation_9_counts_rubbish_among_the_answers() -> None:
    """Of an image that lies far from all pictures nearly all answers are rubbish, and no class pulls at any weight."""

    class Radial(nn.Sequential):
        rubbish = lenet5.RUBBISH
        loss = staticmethod(lenet5.LeNet5.loss)

    torch.manual_seed(0)
    layer, image = nn.Linear(4, 3), torch.randn(1, 4)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([-84.0, -83.0, -90.0]))
    exact = second_derivatives(Radial(layer), image, lenet5.LeNet5.loss)
    for found, right in zip(measured(Radial(layer), image), exact, strict=True):
        torch.testing.assert_close(found, right, rtol=0.1, atol=0.03 * float(right.detach().max()))
    with torch.no_grad():
        layer.bias.fill_(-200.0)
    assert all(float(one.max()) == 0 for one in measured(Radial(layer), image))


def test_how_many_images_fit_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = two_layers().eval(), torch.randn(7, 1, 4, 4)
    whole = curvature(network, images, Training(**PLAN), torch.Generator().manual_seed(3))
    monkeypatch.setattr(module, "NUMBERS", 2 * sum(value.numel() for value in network.parameters()))
    parts = curvature(network, images, Training(**PLAN), torch.Generator().manual_seed(3))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_not_trained_has_none() -> None:
    network = two_layers().eval()
    next(network.parameters()).requires_grad = False
    found = curvature(network, torch.randn(7, 1, 4, 4), Training(**PLAN), torch.Generator())
    assert [one.shape for one in found] == [value.shape for value in network.parameters() if value.requires_grad]


def test_a_criterion_without_curvature_is_refused() -> None:
    network = perceptron.Perceptron(16, 3)
    with pytest.raises(PipelineError, match="no curvature"):
        curvature(network, torch.randn(2, 1, 4, 4), Training(**PLAN), torch.Generator())


@pytest.mark.parametrize("key", [key for key in KEYS if key != "perceptron"])
def test_every_network_has_one_or_says_why_not(key: str) -> None:
    network, images = build(key).eval(), torch.randn(2, 3, 32, 32)
    if any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()):
        with pytest.raises(PipelineError, match="batch normalisation"):
            curvature(network, images, Training(**PLAN), torch.Generator())
    else:
        found = curvature(network, images, Training(**PLAN), torch.Generator())
        assert all(bool(one.isfinite().all()) for one in found)
        assert any(float(one.max()) > 0 for one in found)
