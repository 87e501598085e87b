"""What moves the weights: SGD with Nesterov's momentum, Muon for the kernels of convolutions, Levenberg-Marquardt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from pipeline.device import pick_precision
from pipeline.networks.parts.groups import Group, groups_of
from pipeline.settings import Training

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of Jordan's Muon: steep at 0, so that few iterations suffice
ITERATIONS = 3


class Muon(torch.optim.Optimizer):
    """Momentum whose update is the nearest orthogonal matrix, roughly (Jordan et al., "Muon", 2024).

    A kernel (outputs, inputs, K, K) is a matrix of as many rows as it has outputs. Weights are brought to a norm of
    √rows before each step, as in airbench.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a closure is not supported."""
        for group in self.param_groups:
            kernels = [kernel for kernel in group["params"] if kernel.grad is not None]
            gradients = [kernel.grad for kernel in kernels]
            buffers = [momentum_of(self, kernel) for kernel in kernels]
            # All at once where they can be: a small kernel takes a GPU less time than its launch takes the host.
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, gradients)
            towards = torch._foreach_add(gradients, buffers, alpha=group["momentum"])
            updates = [orthogonal(one.reshape(len(one), -1)).reshape(one.shape) for one in towards]
            norms = torch._foreach_norm(kernels)
            torch._foreach_div_(norms, [len(kernel) ** 0.5 for kernel in kernels])
            torch._foreach_div_(kernels, norms)
            torch._foreach_add_(kernels, updates, alpha=-group["lr"])


class LevenbergMarquardt(torch.optim.Optimizer):
    """SGD with a learning rate for each weight: the common one over (damping + curvature along this weight).

    The stochastic diagonal method of LeCun et al. 1998, appendix C, with Nesterov's momentum beside it.
    The curvature is measured anew before each epoch (`look`), so a checkpoint needs none.
    """

    def __init__(self, parameters: Iterable[Any], momentum: float, damping: float) -> None:
        super().__init__(parameters, {"lr": 0.0, "momentum": momentum, "weight_decay": 0.0})
        self._damping = damping
        self._curvature: dict[torch.Tensor, torch.Tensor] = {}

    def look(self, curvature: dict[torch.Tensor, torch.Tensor]) -> None:
        """From now on go by this curvature (≥ 0, of each parameter's shape)."""
        self._curvature = curvature

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a closure is not supported."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            damped = torch._foreach_add([self._curvature[weight] for weight in weights], self._damping)
            towards = torch._foreach_add([weight.grad for weight in weights], weights, alpha=group["weight_decay"])
            torch._foreach_div_(towards, damped)
            momenta = [momentum_of(self, weight) for weight in weights]
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, towards)
            torch._foreach_add_(towards, momenta, alpha=group["momentum"])
            torch._foreach_add_(weights, towards, alpha=-group["lr"])


def momentum_of(optimizer: torch.optim.Optimizer, weight: torch.Tensor) -> torch.Tensor:
    """What the optimiser keeps for a weight: zeros at first."""
    state = optimizer.state[weight]
    if "momentum" not in state:
        state["momentum"] = torch.zeros_like(weight)
    kept: torch.Tensor = state["momentum"]
    return kept


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Singular values brought near 1 by Newton and Schulz's iteration; (rows, columns), any floats, the same out.

    It is rough anyhow, so it computes in bfloat16 where the device multiplies that natively. Elsewhere torch emulates
    it, forty times slower than float32; in float32 the iteration goes over products of the rows where that takes fewer
    operations, which bfloat16 is too coarse for.
    """
    x = matrix.to(pick_precision("auto", matrix.device))
    x = x / (x.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    rows, columns = x.shape
    if x.dtype == torch.float32 and 3 * rows < 2 * columns:
        x = _iterated(x @ x.T) @ x
    else:
        a, b, c = NEWTON_SCHULZ
        for _ in range(ITERATIONS):
            gram = x @ x.T
            polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
            x = torch.addmm(x, polynomial, x, beta=a)
    return (x if wide else x.T).to(matrix.dtype)


def _iterated(gram: torch.Tensor) -> torch.Tensor:
    """What the iteration multiplies x by in all, (rows, rows), from x xᵀ alone.

    A step makes P x of x, with P = a + b x xᵀ + c (x xᵀ)². So the next x xᵀ is P (x xᵀ) P, and no step but the last
    has to touch x, which has many more columns than rows: 2 products of its size in the place of 6.
    """
    a, b, c = NEWTON_SCHULZ
    product: torch.Tensor | None = None
    for left in reversed(range(ITERATIONS)):
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        product = polynomial if product is None else polynomial @ product
        if left:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    return product


class Optimizer:
    """One optimiser or two, behind the groups of a network."""

    def __init__(self, network: nn.Module, settings: Training) -> None:
        groups = [group for group in groups_of(network) if group.parameters]
        muon = [group for group in groups if group.orthogonal and settings.optimizer == "muon"]
        rest = [group for group in groups if group not in muon]
        self._parts: list[tuple[torch.optim.Optimizer, list[Group]]] = []
        self._curved: LevenbergMarquardt | None = None
        if muon:
            self._parts.append((Muon(_mappings(muon, settings, decay=False), 0.0, settings.momentum), muon))
        if rest and settings.optimizer == "levenberg_marquardt":
            mappings = _mappings(rest, settings, decay=True)
            self._curved = LevenbergMarquardt(mappings, settings.momentum, settings.damping)
            self._parts.append((self._curved, rest))
        elif rest:
            sgd = torch.optim.SGD(
                _mappings(rest, settings, decay=True),
                lr=0.0,
                momentum=settings.momentum,
                nesterov=settings.momentum > 0,
                fused=True,
            )
            self._parts.append((sgd, rest))

    @property
    def needs_curvature(self) -> bool:
        """Whether each epoch begins with a `look`."""
        return self._curved is not None

    def look(self, curvature: dict[torch.Tensor, torch.Tensor]) -> None:
        """Go by this curvature along each trained parameter, until the next look."""
        assert self._curved is not None
        self._curved.look(curvature)

    def step(self, rate: float, progress: float) -> None:
        """Move all weights.

        Args:
            rate: the learning rate now.
            progress: share of the training that is over.
        """
        for optimizer, groups in self._parts:
            for mapping, group in zip(optimizer.param_groups, groups, strict=True):
                left = 1.0 if group.until >= 1 else max(0.0, 1 - progress / group.until)
                mapping["lr"] = rate * group.rate * left
            optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer, _ in self._parts:
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """For a checkpoint."""
        return [optimizer.state_dict() for optimizer, _ in self._parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """From a checkpoint."""
        for (optimizer, _), one in zip(self._parts, state, strict=True):
            optimizer.load_state_dict(one)


def _mappings(groups: list[Group], settings: Training, decay: bool) -> list[dict[str, Any]]:
    mappings = []
    for group in groups:
        mapping: dict[str, Any] = {"params": group.parameters}
        if decay:
            mapping["weight_decay"] = settings.weight_decay * group.decay
        if group.momentum is not None:
            mapping["momentum"] = group.momentum
        mappings.append(mapping)
    return mappings
