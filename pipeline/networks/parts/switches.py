"""Any network with other non-linearities, dropout, batch normalisation, pooling or start: what does each of them do?

Works on the modules that a network is made of, so that a network needs to know nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from pipeline.errors import Senseless
from pipeline.networks.parts.layers import LocallyConnected2d, Maxout, PartialConv2d, ScaledTanh, Subsampling
from pipeline.networks.parts.start import STARTS
from pipeline.settings import Training

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
}
NON_LINEAR = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Sigmoid, nn.Tanh, ScaledTanh)
WINDOWED = (nn.MaxPool2d, nn.AvgPool2d)
WEIGHTED = (nn.Conv2d, nn.Linear, LocallyConnected2d)


def no_published_start(key: str, settings: Training) -> None:
    """For networks of which nobody wrote down how their weights start.

    Raises:
        Senseless: `start: paper`.
    """
    if settings.start == "paper":
        raise Senseless(
            f"`{key}.start` is paper, but no publication says how {key}'s weights start; set it to null or to one of "
            f"{', '.join(STARTS)}"
        )


def switch(network: nn.Module, key: str, settings: Training) -> nn.Module:
    """The network with what `settings` changes; itself, changed in place.

    Raises:
        Senseless: a switch that makes no sense on this network.
    """
    if settings.batch_norm is not None:
        _batch_norm(network, settings.batch_norm, key)
    if settings.pooling is not None:
        _pool(network, settings.pooling, key)
    if settings.dropout is not None:
        _drop(network, settings.dropout, key)
    if settings.activation is not None:
        _activate(network, settings.activation, key)
    if settings.start is not None and settings.start != "paper":
        network.apply(STARTS[settings.start])
    return network


def _places(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[tuple[nn.Module, str, nn.Module]]:
    """Parent, name in it and module, for every module of these kinds, in their order."""
    return [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, kinds)
    ]


def _batch_norm(network: nn.Module, wanted: bool, key: str) -> None:
    """Away with all of it, or one after every convolution and hidden full layer of a network that has none."""
    there = _places(network, (nn.BatchNorm1d, nn.BatchNorm2d))
    if wanted and there:
        return
    if not wanted:
        for parent, name, _ in there:
            setattr(parent, name, nn.Identity())
            _give_bias(parent, name)
        return
    found = [
        (parent, name, child, norm)
        for parent in [module for module in network.modules() if isinstance(module, nn.Sequential)]
        for (name, child), (_, following) in pairwise(list(parent.named_children()))
        if (norm := _norm_behind(child, following)) is not None
    ]
    if not found:
        raise Senseless(f"`{key}.batch_norm` is true, but {key} has no hidden layer to normalise; set it to null")
    for parent, name, child, norm in found:
        setattr(parent, name, nn.Sequential(child, norm))


def _norm_behind(child: nn.Module, following: nn.Module) -> nn.Module | None:
    """What normalises a convolution's maps, or a hidden full layer's units; None for other modules."""
    if isinstance(child, nn.Conv2d):
        return nn.BatchNorm2d(child.out_channels)
    if isinstance(child, LocallyConnected2d):
        return nn.BatchNorm2d(child.weight.shape[2])
    if isinstance(child, nn.Linear) and isinstance(following, NON_LINEAR):
        return nn.BatchNorm1d(child.out_features)
    return None


def _give_bias(parent: nn.Module, norm: str) -> None:
    """A convolution that left its bias to the normalisation behind it gets one."""
    children = dict(parent.named_children())
    before = list(children)[: list(children).index(norm)]
    child = next((children[name] for name in reversed(before) if not isinstance(children[name], WINDOWED)), None)
    if isinstance(child, nn.Conv2d) and child.bias is None:
        child.bias = nn.Parameter(child.weight.new_zeros(child.out_channels))


def _pool(network: nn.Module, kind: str, key: str) -> None:
    found = _places(network, (nn.MaxPool2d, nn.AvgPool2d, Subsampling, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d))
    if not found:
        raise Senseless(f"`{key}.pooling` is {kind}, but {key} has no pooling; set it to null")
    for parent, name, pool in found:
        if isinstance(pool, (nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)):
            new: nn.Module = (nn.AdaptiveMaxPool2d if kind == "max" else nn.AdaptiveAvgPool2d)(pool.output_size)
        else:
            window: Any = (2, 2, 0) if isinstance(pool, Subsampling) else (pool.kernel_size, pool.stride, pool.padding)
            new = (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(*window)
        setattr(parent, name, new)


def _drop(network: nn.Module, share: float, key: str) -> None:
    """Where the network drops already; else before its last weighted layer, unless nothing is to be dropped."""
    layers = _places(network, (nn.Dropout,))
    for _, _, layer in layers:
        assert isinstance(layer, nn.Dropout)
        layer.p = share
    if not layers and share > 0:
        name, last = [(name, module) for name, module in network.named_modules() if isinstance(module, WEIGHTED)][-1]
        above, _, own = name.rpartition(".")
        setattr(network.get_submodule(above), own, nn.Sequential(nn.Dropout(share), last))


def _activate(network: nn.Module, kind: str, key: str) -> None:
    found = _places(network, NON_LINEAR)
    if not found:
        raise Senseless(f"`{key}.activation` is {kind}, but {key} has no non-linearity; set it to null")
    if kind == "maxout":
        _maxout(network, key)
        return
    for parent, name, _ in found:
        setattr(parent, name, ACTIVATIONS[kind]())


def _maxout(network: nn.Module, key: str) -> None:
    """Twice as many maps before each non-linearity, of which the larger of two goes on."""
    for parent in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        children = list(parent.named_children())
        for number, (name, child) in enumerate(children):
            if not isinstance(child, NON_LINEAR):
                continue
            before = next((name for name, module in reversed(children[:number]) if isinstance(module, WEIGHTED)), None)
            between = children[[n for n, _ in children].index(before) + 1 : number] if before else []
            if before is None or any(not isinstance(module, nn.Dropout) for _, module in between):
                raise Senseless(
                    f"`{key}.activation` is maxout, which needs a convolution or full layer right before every "
                    f"non-linearity; {key} has others between; choose another"
                )
            setattr(parent, before, _doubled(getattr(parent, before), key))
            setattr(parent, name, Maxout())


def _doubled(layer: nn.Module, key: str) -> nn.Module:
    """The same with twice as many outputs, whose weights are drawn as widely as the layer's own."""
    new: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Conv2d) and not isinstance(layer, PartialConv2d):
        new = nn.Conv2d(
            layer.in_channels,
            2 * layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            groups=layer.groups,
            bias=layer.bias is not None,
        )
    elif type(layer) is nn.Linear:
        new = nn.Linear(layer.in_features, 2 * layer.out_features, layer.bias is not None)
    else:
        raise Senseless(f"`{key}.activation` is maxout, which {type(layer).__name__} does not have; choose another")
    nn.init.normal_(new.weight, std=float(layer.weight.detach().square().mean().sqrt()))
    if new.bias is not None and layer.bias is not None:
        with torch.no_grad():
            new.bias.copy_(layer.bias.detach().repeat_interleave(2))
    return new
