"""A running average of a network's weights, which errs less than those of any one step (Polyak & Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """Exponential average of all parameters and statistics; short at first, so that the start is soon forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """After each step."""
        self.steps += 1
        keep = min(self.decay, self.steps / (self.steps + 9))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - keep)
            else:
                self.values[name].copy_(value)

    @contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """The network has the average's weights while the block runs."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.values)
        try:
            yield
        finally:
            network.load_state_dict(own)
