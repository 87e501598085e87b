"""How weights start: each rule for one module, to be used with network.apply(rule)."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.parts.layers import LocallyConnected2d, PartialConv2d

Weighted = nn.Conv2d | nn.Linear | LocallyConnected2d
WEIGHTED = (nn.Conv2d, nn.Linear, LocallyConnected2d)


def he(module: nn.Module) -> None:
    """N(0, 2/fan-in), biases 0: keeps the variance through ReLUs (He et al., ICCV 2015, equation 10)."""
    if isinstance(module, WEIGHTED):
        _normal(module, 2.0)
    _no_bias(module)


def xavier(module: nn.Module) -> None:
    """U(±√(6/(fan-in + fan-out))), biases 0 (Glorot & Bengio, AISTATS 2010, equation 16)."""
    if isinstance(module, WEIGHTED):
        limit = torch.sqrt(6 / (fan_in(module) + fan_out(module)))
        nn.init.uniform_(module.weight, -1, 1)
        _times(module, limit)
    _no_bias(module)


def lecun(module: nn.Module) -> None:
    """N(0, 1/fan-in), biases 0: LeCun, Bottou, Orr & Müller, "Efficient BackProp" (1998), section 4.6."""
    if isinstance(module, WEIGHTED):
        _normal(module, 1.0)
    _no_bias(module)


def lenet(module: nn.Module) -> None:
    """U(±2.4/fan-in), weights and biases (LeCun et al. 1998, appendix A)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        limit = 2.4 / fan_in(module)
        nn.init.uniform_(module.weight, -1, 1)
        _times(module, limit)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -1, 1)
            with torch.no_grad():
                module.bias.mul_(limit)


def small(module: nn.Module) -> None:
    """Deviation 0.01, biases 0: what AlexNet started from (section 5)."""
    if isinstance(module, WEIGHTED):
        nn.init.normal_(module.weight, std=0.01)
    _no_bias(module)


def tenth(module: nn.Module) -> None:
    """Variance 0.01, so deviation 0.1, biases 0: what VGG started from (section 3.1)."""
    if isinstance(module, WEIGHTED):
        nn.init.normal_(module.weight, std=0.1)
    _no_bias(module)


#: The rules by the names that params.yaml gives them.
STARTS = {"he": he, "xavier": xavier, "lecun": lecun, "small": small}


def fan_in(module: Weighted) -> torch.Tensor:
    """How many numbers each output map or unit sums: one for each row of the weights, or one for all."""
    if isinstance(module, PartialConv2d):
        return module.mask.flatten(1).sum(1) * module.weight[0, 0].numel()
    if isinstance(module, LocallyConnected2d):
        return torch.tensor(float(module.weight.shape[1]))
    return torch.tensor(float(module.weight[0].numel()))


def fan_out(module: Weighted) -> torch.Tensor:
    """How many numbers each input goes into, borders and strides aside."""
    if isinstance(module, LocallyConnected2d):
        return torch.tensor(float(module.kernel**2 * module.weight.shape[2]))
    if isinstance(module, nn.Linear):
        return torch.tensor(float(module.out_features))
    return torch.tensor(float(module.out_channels // module.groups * module.weight[0, 0].numel()))


def _normal(module: Weighted, gain: float) -> None:
    """N(0, gain/fan-in)."""
    nn.init.normal_(module.weight)
    _times(module, torch.sqrt(gain / fan_in(module)))


@torch.no_grad()
def _times(module: Weighted, factor: torch.Tensor) -> None:
    """Each row of the weights by its factor, or all by one."""
    module.weight.mul_(factor.view(-1, *[1] * (module.weight.ndim - 1)).to(module.weight))


def _no_bias(module: nn.Module) -> None:
    if isinstance(module, WEIGHTED) and module.bias is not None:
        nn.init.zeros_(module.bias)
