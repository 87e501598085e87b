"""What happens inside a network while it learns: how large gradients are in each layer, and which units are silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pipeline.networks.parts.layers import Maxout, ScaledTanh

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Sigmoid, nn.Tanh, ScaledTanh, Maxout)


@contextmanager
def watched(network: nn.Module, rows: list[dict[str, float | str]]) -> Iterator[None]:
    """Watch one forward and backward pass; afterwards `rows` has one mapping for each layer, from the image on.

    `layer` with `gradient` (root mean square of the gradient of the layer's weights) and `weight` (of the weights), or,
    for a non-linearity, `mean` and `deviation` of what it gives, and `silent`: the share of its units (maps) that
    gave 0 for every image of the batch, which for ReLUs learn nothing more from it.
    """
    found: dict[str, dict[str, torch.Tensor]] = {}
    hooks = []

    def look(name: str) -> None:
        def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            out = output.detach().float()
            found[name] = {
                "mean": out.mean(),
                "deviation": out.std(),
                "silent": _silent(out).float().mean(),
            }

        hooks.append(network.get_submodule(name).register_forward_hook(note))

    names = [name for name, module in network.named_modules() if isinstance(module, ACTIVATIONS)]
    for name in names:
        look(name)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim > 1 and weight.grad is not None:
            found[name] = {"gradient": _rms(weight.grad), "weight": _rms(weight.detach())}
    order = [name for name, _ in network.named_modules() if name in found]
    # Fetched at once: a GPU would be waited for as often as there are numbers.
    numbers = iter(torch.stack([value for name in order for value in found[name].values()]).tolist() if order else [])
    rows.extend({"layer": name} | {key: next(numbers) for key in found[name]} for name in order)


def first_not_finite(network: nn.Module, images: torch.Tensor) -> str:
    """The first layer that gives something that is no finite number, and what it is; "the loss" if none does."""
    guilty: list[str] = []
    hooks = []
    for name, module in network.named_modules():
        if list(module.children()):
            continue

        def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor, name: str = name) -> None:
            if not guilty and not bool(torch.isfinite(output).all()):
                guilty.append(f"{name} ({type(module).__name__})")

        hooks.append(module.register_forward_hook(note))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return guilty[0] if guilty else "the loss"


def _silent(out: torch.Tensor) -> torch.Tensor:
    """Which units or maps, (C,), are 0 everywhere."""
    zero = out == 0
    return zero.transpose(0, 1).flatten(1).all(dim=1)


def _rms(values: torch.Tensor) -> torch.Tensor:
    return values.float().square().mean().sqrt()
