"""Batch normalisation over the whole batch, where several processes hold a share of it each.

torch's SyncBatchNorm does that on GPUs alone. This one runs wherever torch.distributed does, and its layers keep their
names and state, so that one process can go on with what several have trained.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

Norm = nn.modules.batchnorm._BatchNorm


def share_norms(network: nn.Module) -> None:
    """Let every batch normalisation of `network` see the images of all processes while it is trained.

    All processes must pass their shares through the layers together. Sums are float32 at least.
    """
    for module in network.modules():
        if isinstance(module, Norm):
            module.forward = partial(_normalise, module)  # type: ignore[method-assign]


def _normalise(norm: Norm, x: torch.Tensor) -> torch.Tensor:
    """(B, C, …) of this process, same out; mean and variance are those of all processes' B."""
    if not norm.training:
        return type(norm).forward(norm, x)
    seen, others = x.to(torch.promote_types(x.dtype, torch.float32)), [axis for axis in range(x.ndim) if axis != 1]
    count = _total(seen.new_tensor(seen.numel() / seen.shape[1]))
    mean = _total(seen.sum(others)) / count
    shape = [1, -1, *[1] * (x.ndim - 2)]
    centred = seen - mean.view(shape)
    variance = _total(centred.square().sum(others)) / count
    _keep(norm, mean.detach(), (variance * count / (count - 1)).detach())
    out = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        out = out * norm.weight.view(shape) + norm.bias.view(shape)
    return out.to(x.dtype)


def _keep(norm: Norm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """The running statistics, which scoring uses; the same in every process."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


def _total(value: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Total.apply(value)
    return total


class _Total(torch.autograd.Function):
    """The sum over all processes; what each loss owes to it is summed over all of them too."""

    @staticmethod
    def forward(context: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
