"""How weights start: each rule for one module, to be used with network.apply(rule)."""

from __future__ import annotations

from torch import nn

from pipeline.networks.parts.layers import PartialConv2d


def he(module: nn.Module) -> None:
    """N(0, 2/fan-in), biases 0: keeps the variance through ReLUs (He et al., ICCV 2015, equation 10)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=(2 / fan_in(module)) ** 0.5)
    _no_bias(module)


def xavier(module: nn.Module) -> None:
    """U(±√(6/(fan-in + fan-out))), biases 0 (Glorot & Bengio, AISTATS 2010, equation 16)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
        nn.init.uniform_(module.weight, *_both(6 / (fan_in(module) + fan_out)))
    _no_bias(module)


def lecun(module: nn.Module) -> None:
    """N(0, 1/fan-in), biases 0: LeCun, Bottou, Orr & Müller, "Efficient BackProp" (1998), section 4.6."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=fan_in(module) ** -0.5)
    _no_bias(module)


def lenet(module: nn.Module) -> None:
    """U(±2.4/fan-in), weights and biases (LeCun et al. 1998, appendix A)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        limit = 2.4 / fan_in(module)
        nn.init.uniform_(module.weight, -limit, limit)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -limit, limit)


def small(module: nn.Module) -> None:
    """N(0, 0.01), biases 0: what AlexNet and VGG started from."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=0.01)
    _no_bias(module)


#: The rules by the names that params.yaml gives them.
STARTS = {"he": he, "xavier": xavier, "lecun": lecun, "small": small}


def fan_in(module: nn.Conv2d | nn.Linear) -> int:
    """How many numbers one output sums."""
    if isinstance(module, PartialConv2d):
        return int(module.mask[0].sum()) * module.kernel_size[0] * module.kernel_size[1]
    return module.weight[0].numel()


def _no_bias(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _both(variance_times_three: float) -> tuple[float, float]:
    limit = variance_times_three**0.5
    return -limit, limit
