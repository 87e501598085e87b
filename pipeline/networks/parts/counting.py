"""What can be counted on any network: parameters, multiply-adds, and both layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from pipeline.networks.parts.layers import EuclideanRadialBasis, LocallyConnected2d, PartialConv2d, Subsampling

#: Shown in a table of layers even where they hold no parameters: what a reader counts a network's layers by.
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, Subsampling)
SHOWN = (*POOLING, EuclideanRadialBasis)


@dataclass(frozen=True)
class Layer:
    """A row of a network's table.

    Attributes:
        name: its place among the network's modules.
        kind: what it does, with kernel K, stride S and padding P where it has them.
        output: shape of what it gives for one image: (channels, H, W) or (units,). Of a convolution or pooling
            H = (H_in − K + 2P)/S + 1, rounded down.
        parameters: trained numbers.
        multiply_adds: for one image; a square added counts as one.
    """

    name: str
    kind: str
    output: list[int]
    parameters: int
    multiply_adds: int


def table(network: nn.Module, image_shape: tuple[int, int, int]) -> list[Layer]:
    """Every layer that has parameters, pools or compares, in the order that an image of (channels, H, W) meets them."""
    rows: list[Layer] = []
    named = {module: name for name, module in network.named_modules() if not list(module.children())}

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        parameters = count_parameters(module)
        if parameters or isinstance(module, SHOWN):
            kind = _kind(module)
            rows.append(Layer(named[module], kind, list(output.shape[1:]), parameters, _multiply_adds(module, output)))

    _watch(network, list(named), note, image_shape)
    return rows


def table_as_dicts(network: nn.Module, image_shape: tuple[int, int, int]) -> list[dict[str, Any]]:
    """The same, for JSON."""
    return [asdict(layer) for layer in table(network, image_shape)]


def count_parameters(network: nn.Module) -> int:
    """Trained numbers; connections that a table leaves out don't count, nor does what is fixed."""
    total = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    for module in network.modules():
        if isinstance(module, PartialConv2d):
            total -= int((1 - module.mask).sum()) * module.kernel_size[0] * module.kernel_size[1]
    return total


def count_multiply_adds(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and full connections for one image of (channels, H, W)."""
    total = 0

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += _multiply_adds(module, output)

    _watch(network, [module for module in network.modules() if not list(module.children())], note, image_shape)
    return total


def _watch(network: nn.Module, modules: list[nn.Module], note: Any, image_shape: tuple[int, int, int]) -> None:
    """Let one image through and call note(module, inputs, output) on the way."""
    hooks = [module.register_forward_hook(note) for module in modules]
    training = network.training
    try:
        with torch.no_grad():
            parameter = next(network.parameters())
            network.eval()(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()


def _multiply_adds(module: nn.Module, output: torch.Tensor) -> int:
    if isinstance(module, LocallyConnected2d):
        return module.weight.numel()
    if isinstance(module, EuclideanRadialBasis):
        return module.pictures.numel()
    if not isinstance(module, (nn.Conv2d, nn.Linear)):
        return 0
    per_number: float = module.weight[0].numel()
    if isinstance(module, PartialConv2d):
        per_number = int(module.mask.sum()) * module.kernel_size[0] * module.kernel_size[1] / len(module.mask)
    return round(output[0].numel() * per_number)


def _kind(module: nn.Module) -> str:
    name = {nn.Linear: "full", nn.BatchNorm2d: "batch norm", nn.BatchNorm1d: "batch norm"}.get(type(module))
    if name:
        return name
    if isinstance(module, nn.Conv2d):
        towers = f", {module.groups} towers" if module.groups > 1 else ""
        words = "partial convolution" if isinstance(module, PartialConv2d) else "convolution"
        return f"{words} {_window(module)}{towers}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        return ("max" if isinstance(module, nn.MaxPool2d) else "average") + f" pooling {_window(module)}"
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        return "pooling over all places" if module.output_size == 1 else "pooling"
    if isinstance(module, EuclideanRadialBasis):
        return "distances to pictures"
    if isinstance(module, LocallyConnected2d):
        return f"local, unshared K={module.kernel}"
    return {"Subsampling": "trained subsampling K=2 S=2"}.get(type(module).__name__, type(module).__name__)


def _window(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> str:
    """K, S and P, each as one number where both sides are equal."""

    def one(value: Any) -> str:
        return f"{value[0]}" if isinstance(value, tuple) and len(set(value)) == 1 else f"{value}"

    padding = one(module.padding)
    return f"K={one(module.kernel_size)} S={one(module.stride)}" + (f" P={padding}" if padding != "0" else "")
