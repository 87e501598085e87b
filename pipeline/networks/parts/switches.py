"""Any network with other non-linearities, dropout, batch normalisation, pooling or start: what does each of them do?

Works on the modules that a network is made of, so that a network needs to know nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import nn

from pipeline.errors import PipelineError
from pipeline.networks.parts.layers import LocallyConnected2d, Maxout, ScaledTanh, Subsampling
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
WEIGHTED = (nn.Conv2d, nn.Linear, LocallyConnected2d)


def switch(network: nn.Module, key: str, settings: Training) -> nn.Module:
    """The network with what `settings` changes; itself, changed in place.

    Raises:
        PipelineError: a switch that makes no sense on this network.
    """
    if settings.batch_norm is not None:
        _batch_norm(network, settings.batch_norm)
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


def _batch_norm(network: nn.Module, wanted: bool) -> None:
    """Away with all of it, or one after every convolution and hidden full layer that has none yet."""
    if not wanted:
        for parent, name, norm in _places(network, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(parent, name, nn.Identity())
            _give_bias(parent, name)
            del norm
        return
    for parent in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        children = list(parent.named_children())
        for (name, child), (_, following) in pairwise(children):
            if isinstance(child, nn.Conv2d) and not isinstance(following, nn.BatchNorm2d):
                setattr(parent, name, nn.Sequential(child, nn.BatchNorm2d(child.out_channels)))
            elif isinstance(child, nn.Linear) and isinstance(following, NON_LINEAR):
                setattr(parent, name, nn.Sequential(child, nn.BatchNorm1d(child.out_features)))


def _give_bias(parent: nn.Module, norm: str) -> None:
    """A convolution that left its bias to the normalisation behind it gets one."""
    names = [name for name, _ in parent.named_children()]
    before = names.index(norm) - 1
    child = getattr(parent, names[before]) if before >= 0 else None
    if isinstance(child, nn.Conv2d) and child.bias is None:
        child.bias = nn.Parameter(child.weight.new_zeros(child.out_channels))


def _pool(network: nn.Module, kind: str, key: str) -> None:
    found = _places(network, (nn.MaxPool2d, nn.AvgPool2d, Subsampling, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d))
    if not found:
        raise PipelineError(f"`{key}.pooling` is {kind}, but {key} has no pooling; set it to null")
    for parent, name, pool in found:
        if isinstance(pool, (nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)):
            new: nn.Module = (nn.AdaptiveMaxPool2d if kind == "max" else nn.AdaptiveAvgPool2d)(pool.output_size)
        else:
            window: Any = (2, 2, 0) if isinstance(pool, Subsampling) else (pool.kernel_size, pool.stride, pool.padding)
            new = (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(*window)
        setattr(parent, name, new)


def _drop(network: nn.Module, share: float, key: str) -> None:
    """Where the network drops already; else before its last weighted layer."""
    layers = _places(network, (nn.Dropout,))
    for _, _, layer in layers:
        assert isinstance(layer, nn.Dropout)
        layer.p = share
    if not layers:
        last = _places(network, WEIGHTED)
        if not last:
            raise PipelineError(f"`{key}.dropout` is {share}, but {key} has no layer to drop from; set it to null")
        parent, name, layer = last[-1]
        setattr(parent, name, nn.Sequential(nn.Dropout(share), layer))


def _activate(network: nn.Module, kind: str, key: str) -> None:
    found = _places(network, NON_LINEAR)
    if not found:
        raise PipelineError(f"`{key}.activation` is {kind}, but {key} has no non-linearity; set it to null")
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
                raise PipelineError(
                    f"`{key}.activation` is maxout, which needs a convolution or full layer right before every "
                    f"non-linearity; {key} has others between; choose another"
                )
            setattr(parent, before, _doubled(getattr(parent, before), key))
            setattr(parent, name, Maxout())


def _doubled(layer: nn.Module, key: str) -> nn.Module:
    if type(layer) is nn.Conv2d:
        return nn.Conv2d(
            layer.in_channels,
            2 * layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            groups=layer.groups,
            bias=layer.bias is not None,
        )
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, 2 * layer.out_features)
    raise PipelineError(f"`{key}.activation` is maxout, which {type(layer).__name__} does not have; choose another")
