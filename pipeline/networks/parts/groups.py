"""Parameters that are not all trained alike."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, eq=False)
class Group:
    """Some parameters and how they are trained.

    Attributes:
        parameters: they.
        rate: times the learning rate.
        until: share of the training after which they stay as they are; the scheduled rate is multiplied by a line
            that falls to 0 there.
        orthogonal: Muon, where the optimiser is muon; else SGD.
        decay: times the weight decay.
        momentum: in the place of the settings'; None: as they say.
    """

    parameters: list[nn.Parameter]
    rate: float = 1.0
    until: float = 1.0
    orthogonal: bool = False
    decay: float = 1.0
    momentum: float | None = None


def groups_of(network: nn.Module) -> list[Group]:
    """The network's own groups, or one of kernels of convolutions and one of all else."""
    own = getattr(network, "parameter_groups", None)
    if own is not None:
        groups: list[Group] = own()
        return groups
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in trained if parameter.ndim == 4]
    others = [parameter for parameter in trained if parameter.ndim != 4]
    return [group for group in (Group(kernels, orthogonal=True), Group(others)) if group.parameters]
