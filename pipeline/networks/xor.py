"""What a perceptron cannot do (Minsky & Papert, 1969): exclusive or, and that one hidden layer can."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from pipeline.networks.perceptron import Perceptron

INPUTS = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = torch.tensor([0, 1, 1, 0])
PASSES = 2000


def show() -> None:
    """Print how many of the four cases are learned, without hidden units and with some."""
    for hidden in (0, 1, 2, 4, 8):
        name = f"{hidden} hidden units" if hidden != 1 else "1 hidden unit"
        right = [round(4 * learn(hidden, seed)) for seed in range(5)]
        print(f"{'perceptron' if not hidden else name:>14}: {', '.join(map(str, right))} of 4 cases right in five runs")


def learn(hidden: int, seed: int) -> float:
    """Train on the four cases until none is wrong, or for 2,000 passes.

    Args:
        hidden: sigmoid units between input and output; 0: a perceptron.

    Returns:
        Share of the four cases that it gets right: never more than three of four without hidden units, since no
        straight line has (0, 1) and (1, 0) on one side and (0, 0) and (1, 1) on the other.
    """
    torch.manual_seed(seed)
    network: nn.Module
    if hidden:
        network = nn.Sequential(nn.Linear(2, hidden), nn.Sigmoid(), nn.Linear(hidden, 2))
        criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9)
    else:
        network = Perceptron(2, 2)
        criterion = Perceptron.loss
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    best = 0.0
    for _ in range(PASSES):
        scores = network(INPUTS)
        # A tie is no decision: the right class must be strictly ahead.
        right = scores.gather(1, TARGETS[:, None]) > scores.gather(1, 1 - TARGETS[:, None])
        best = max(best, float(right.float().mean()))
        if best == 1:
            break
        optimizer.zero_grad()
        criterion(scores, TARGETS).backward()
        optimizer.step()
    return best
