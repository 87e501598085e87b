"""The training loop: SGD with Nesterov momentum, one-cycle learning rate, early stopping on val.

Starting and going on are the same path: every epoch ends with a checkpoint, and a run begins by looking for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.randomness import generator, seed_for
from pipeline.settings import Augmentation, Training
from pipeline.training.augmentation import augment
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.images import Images, Normalisation, to_input

WARM_UP = 0.2  # share of the steps on which the learning rate rises
EVAL_BATCH = 512


@dataclass(frozen=True)
class Task:
    """What is trained on what."""

    build: Callable[[], nn.Module]
    train: Images
    val: Images
    normalisation: Normalisation
    augmentation: Augmentation
    device: torch.device
    precision: torch.dtype
    seed: int


@dataclass
class Progress:
    """How far a run is. `history` has a row an epoch: epoch, learning_rate, train_loss, train_error, val_…, seconds."""

    epoch: int = 0
    best_epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    task: Task,
    settings: Training,
    learning_rate: float,
    epochs: int,
    checkpoint: Path | None,
    advance: Callable[[int, str], None],
) -> tuple[nn.Module, Progress]:
    """Train one network and give back its best snapshot on val.

    Args:
        checkpoint: written after each epoch and gone on from where it exists; None for short trials.
        advance: called with the number of images and a note.

    Raises:
        PipelineError: the loss is no longer finite; the last good checkpoint stays.
    """
    torch.manual_seed(seed_for(task.seed, "network"))
    torch.backends.cudnn.deterministic = True  # on a GPU: convolutions that add in one order
    network = task.build().to(task.device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
    )
    best = {name: value.clone() for name, value in network.state_dict().items()}
    progress = Progress()
    if checkpoint is not None and (state := load_checkpoint(checkpoint)) is not None:
        best = _restore(state, network, optimizer, progress)
        advance(progress.epoch * len(task.train), "resumed")
    while progress.epoch < epochs and progress.epoch - progress.best_epoch < settings.patience:
        row = _train_epoch(task, network, optimizer, settings, learning_rate, epochs, progress.epoch, advance)
        row |= {f"val_{name}": value for name, value in evaluate(task, network, task.val).items()}
        progress.epoch += 1
        progress.history.append(row)
        if (row["val_error"], row["val_loss"]) < (progress.best_error, progress.best_loss):
            progress.best_epoch, progress.best_error = progress.epoch, row["val_error"]
            progress.best_loss = row["val_loss"]
            best = {name: value.clone() for name, value in network.state_dict().items()}
        advance(0, f"val error {row['val_error']:.1%}")
        if checkpoint is not None:
            save_checkpoint(checkpoint, _state(network, optimizer, progress, best))
    network.load_state_dict(best)
    return network, progress


def one_cycle(step: int, steps: int, peak: float) -> float:
    """Learning rate: a straight rise to `peak`, then a straight fall to 0 (Smith & Topin 2017)."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (steps - step) / max(1, steps - rise)


def _train_epoch(
    task: Task,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Training,
    learning_rate: float,
    epochs: int,
    epoch: int,
    advance: Callable[[int, str], None],
) -> dict[str, float]:
    network.train()
    order = generator(task.seed, f"order {epoch}").permutation(len(task.train))
    starts = range(0, len(order), settings.batch_size)
    total_loss = torch.zeros((), device=task.device)
    wrong = torch.zeros((), device=task.device)
    for batch, start in enumerate(starts):
        numbers = order[start : start + settings.batch_size]
        rate = one_cycle(epoch * len(starts) + batch, epochs * len(starts), learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = augment(task.train.batch(numbers), numbers, epoch, task.seed, task.augmentation)
        labels = task.train.labels[torch.from_numpy(numbers).to(task.device)]
        scores = _forward(task, network, images)
        loss = nn.functional.cross_entropy(scores, labels, label_smoothing=settings.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total_loss += loss.detach() * len(numbers)
        wrong += (scores.detach().argmax(dim=1) != labels).sum()
        advance(len(numbers), "")
    if not math.isfinite(float(total_loss)):
        raise Diverged(
            f"the loss was no longer a finite number in epoch {epoch + 1} (learning rate up to {learning_rate:g}); "
            "lower the network's `learning_rates`, the last good checkpoint is kept"
        )
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "train_loss": float(total_loss) / len(order),
        "train_error": float(wrong) / len(order),
    }


class Diverged(PipelineError):
    """The loss became infinite or NaN."""


def _forward(task: Task, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    x = to_input(images, task.normalisation)
    with torch.autocast(task.device.type, task.precision, enabled=task.precision != torch.float32):
        scores: torch.Tensor = network(x)
    return scores.float()


@torch.no_grad()
def predict(task: Task, network: nn.Module, images: Images) -> np.ndarray:
    """Scores of all images, float32 (N, classes); single view."""
    network.eval()
    numbers = np.arange(len(images))
    parts = [
        _forward(task, network, images.batch(numbers[start : start + EVAL_BATCH]))
        for start in range(0, len(images), EVAL_BATCH)
    ]
    return torch.cat(parts).cpu().numpy()


def evaluate(task: Task, network: nn.Module, images: Images) -> dict[str, float]:
    """Mean cross-entropy and top-1 error."""
    scores = torch.from_numpy(predict(task, network, images))
    labels = images.labels.cpu()
    loss = float(nn.functional.cross_entropy(scores, labels))
    error = float((scores.argmax(dim=1) != labels).float().mean())
    return {"loss": loss if math.isfinite(loss) else 1e9, "error": error}


def _state(
    network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, best: dict[str, torch.Tensor]
) -> dict[str, Any]:
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": best,
        "progress": dict(vars(progress)),
        # Dropout draws from torch's own generators.
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(
    state: dict[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> dict[str, torch.Tensor]:
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    torch.set_rng_state(state["random"].cpu())
    if state["cuda_random"]:
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda_random"]])
    device = next(network.parameters()).device
    return {name: value.to(device) for name, value in state["best"].items()}
