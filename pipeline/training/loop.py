"""The training loop: one network, one learning rate, early stopping on val.

Starting and going on are the same path: every epoch ends with a checkpoint, and a run begins by looking for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.randomness import generator, seed_for
from pipeline.settings import Training
from pipeline.training.average import Average
from pipeline.training.batches import Batch, batches
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.criterion import criterion_of
from pipeline.training.curvature import IMAGES, curvature
from pipeline.training.images import to_input
from pipeline.training.memory import out_of_memory
from pipeline.training.optimizers import Optimizer
from pipeline.training.pace import Pace
from pipeline.training.prediction import evaluate, forward
from pipeline.training.schedules import schedule
from pipeline.training.statistics import first_not_finite, watched
from pipeline.training.tasks import Task

GUESSING = 2  # epochs in a row, after which a network that had learned something is given up
GUESSES_BETTER = 0.1  # share by which guessing may be beaten and still is guessing
LEARNED_FROM = 5000  # images of train that a network may compute something from before it is trained;
PIXELS_LEARNED_FROM = 12_000_000  # fewer, where they are large: what it computes is about their pixels

Advance = Callable[[int, str], None]


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        history: a row an epoch: epoch, learning_rate, train_loss, train_error, val_loss, val_error.
        layers: a row an epoch and layer, from the epoch's last full batch (training/statistics.py).
        steps: of the optimiser, so far.
        guessing: the last epochs, so many, were no better on train than naming the most frequent class, though val
            had seen better: too high a rate has killed the network's units.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)
    layers: list[dict[str, float | str]] = field(default_factory=list)
    guessing: int = 0
    steps: int = 0

    @property
    def gave_up(self) -> bool:
        """Whether the network fell back to guessing, and training ended there."""
        return self.guessing >= GUESSING


Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """Nobody wants to see the epochs as they end."""


class Diverged(PipelineError):
    """The loss became infinite or NaN."""


def fit(
    task: Task,
    settings: Training,
    learning_rate: float,
    epochs: int,
    checkpoint: Path | None,
    advance: Advance,
    watch: Watch = unwatched,
    until: int | None = None,
) -> tuple[nn.Module, Progress]:
    """Train one network and give back its best snapshot on val, or the one of a given epoch.

    Args:
        checkpoint: written after each epoch and gone on from where it exists; None for short trials.
        advance: called with the number of images and a note.
        watch: called after each epoch, and with those that a checkpoint knows; by the first process alone.
        until: the epoch whose snapshot is wanted, whatever val says; None: val chooses.

    Raises:
        Diverged: the loss is no longer finite; the last good checkpoint stays.
        PipelineError: the network or a batch does not fit into memory, a checkpoint belongs to other settings or
            cannot be written.
    """
    run = _run(task, settings, learning_rate, epochs)
    run.val_chooses = until is None
    progress, last = run.progress, until or epochs
    if checkpoint is not None and (state := load_checkpoint(checkpoint)) is not None:
        run.load_state_dict(state)
        advance(progress.epoch * run.pace.images_an_epoch, "resumed")
        if task.processes.first:
            watch(progress)
    while progress.epoch < last and progress.epoch - progress.best_epoch < settings.patience and not progress.gave_up:
        row = _epoch(run, advance)
        if checkpoint is not None and task.processes.first:
            save_checkpoint(checkpoint, run.state_dict())
            watch(progress)
        advance(0, f"val error {row['val_error']:.1%}")
    run.network.load_state_dict(run.best)
    return run.network, progress


def _run(task: Task, settings: Training, learning_rate: float, epochs: int) -> Run:
    try:
        return Run(task, settings, learning_rate, epochs)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    raise PipelineError(
        f"the network does not fit into the memory of {task.device}; make it narrower by its `width`, where it has "
        "one, or take a smaller one"
    )


def _epoch(run: Run, advance: Advance) -> dict[str, float]:
    """Train for one epoch and look at val."""
    try:
        row = run.train_epoch(advance)
        run.close_epoch(row)
        return row
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # Only out here, where the error and the calls it came from are forgotten, is the batch's memory free again.
    raise PipelineError(
        f"a batch of {run.pace.batch_size} images does not fit into the memory of {run.task.device}; set the "
        f"network's `batch_size` to {run.largest_batch()}, which does"
    )


def error_of_guessing(task: Task) -> float:
    """The error on train from which on a network does hardly more than name the most frequent class."""
    largest = float(task.train.labels.bincount().max()) / len(task.train)
    return 1 - (1 + GUESSES_BETTER) * largest


class Run:
    """A network on its way: all that a checkpoint holds."""

    def __init__(self, task: Task, settings: Training, learning_rate: float, epochs: int) -> None:
        torch.manual_seed(seed_for(task.seed, "network"))
        torch.backends.cudnn.deterministic = True  # on a GPU: convolutions that add in one order
        self.task, self.settings, self.learning_rate = task, settings, learning_rate
        network = task.build().to(task.device)
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _learn_from_train(self.network, task)
        self.criterion = criterion_of(self.network, settings)
        self.optimizer = Optimizer(self.network, settings)
        self.average = Average(self.network, settings.average) if settings.average is not None else None
        self.joined = task.processes.wrap(self.network)
        self.compiled = _compiled(self.joined, task) if settings.compile else self.joined
        self.pace = Pace.of(settings, len(task.train))
        self.steps = self.pace.steps_an_epoch
        self.total = self.steps * epochs
        self.factor = schedule(settings, self.total)
        self.progress = Progress()
        self.broken = torch.full((), -1, device=task.device)  # the first step whose loss was no finite number
        self.guesses = error_of_guessing(task)
        self.best = _copy(self.network)
        self.val_chooses = True
        own = {"learning_rate": learning_rate, "epochs": epochs, "seed": task.seed, "passes": self.pace.passes}
        self.of = settings.model_dump(exclude={"learning_rates"}) | own  # what other rates are tried is nothing to it

    def largest_batch(self) -> int:
        """How many images fit into memory at once: tried with empty images, half as many each time.

        Only the gradients of this batch are made and forgotten; weights and statistics stay. What the optimiser keeps
        for each weight has its place, whether it has had a step yet or not.
        """
        self.optimizer.zero_grad()
        self.network.eval()  # where nothing waits for other processes
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        momenta = [] if self.progress.epoch else [torch.empty_like(parameter) for parameter in trained]
        size, shape = self.pace.batch_size // 2, self.task.train.batch(np.arange(1)).shape[1:]
        while size > 1:
            try:
                images = torch.zeros((size, *shape), dtype=torch.uint8, device=self.task.device)
                scores = forward(self.network, to_input(images, self.task.normalisation), self.task.precision)
                loss = self.criterion(scores, torch.zeros(size, dtype=torch.long, device=self.task.device))
                torch.autograd.grad(loss, trained)  # unlike backward, it tells other processes nothing
                return size
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                size //= 2
        del momenta
        return 1

    def train_epoch(self, advance: Advance) -> dict[str, float]:
        """Every image once a pass, in a new order; gives the learning rate at its end, loss and error on the way."""
        task, epoch = self.task, self.progress.epoch
        if self.optimizer.needs_curvature:
            self._look_at_curvature()
        self.network.train()
        # Dropout draws from torch's own generator: keyed like all else, so that a resumed run draws the same.
        torch.manual_seed(seed_for(task.seed, f"dropout {epoch} {task.processes.rank}"))
        loss = torch.zeros((), device=task.device)
        wrong = torch.zeros((), device=task.device)
        of_pass = self.pace.steps
        # The last batch that is full, so that all epochs' rows are alike.
        watch = self.steps - of_pass + max(0, len(task.train) // self.pace.batch_size - 1)
        for number, batch in enumerate(self._batches()):
            step = epoch * self.steps + number
            rate = self.learning_rate * self.factor(step)
            rows: list[dict[str, float | str]] = []
            if number == watch:
                with watched(self.network, rows):
                    batch_loss, batch_wrong = self._step(self.joined, batch, step, rate)
                self.progress.layers += [{"epoch": epoch + 1, **row} for row in rows]
            else:
                network = self.joined if (number + 1) % of_pass == 0 else self.compiled  # the last has another size
                batch_loss, batch_wrong = self._step(network, batch, step, rate)
            loss += batch_loss
            wrong += batch_wrong
            advance(batch.total, "")
        seen = self.pace.images_an_epoch
        return {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "train_loss": task.processes.total(loss) / seen,
            "train_error": task.processes.total(wrong) / seen,
        }

    def _batches(self) -> Iterator[Batch]:
        """Of an epoch: each pass over train has an order and changes of its own."""
        task, passes = self.task, self.pace.passes
        for number in range(self.progress.epoch * passes, (self.progress.epoch + 1) * passes):
            order = generator(task.seed, f"order {number}").permutation(len(task.train))
            yield from batches(task, order, self.pace, number)

    def _look_at_curvature(self) -> None:
        """On images and answers that are the same in all processes, and for a resumed run."""
        task, step = self.task, f"curvature {self.progress.epoch}"
        numbers = generator(task.seed, step).permutation(len(task.train))[:IMAGES]
        random = torch.Generator().manual_seed(seed_for(task.seed, step))
        self.network.eval()
        found = curvature(self.network, to_input(task.train.batch(numbers), task.normalisation), self.settings, random)
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimizer.look(dict(zip(trained, found, strict=True)))

    def _step(self, network: nn.Module, batch: Batch, step: int, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the sums of the losses and of the mistakes over this process's share of the batch."""
        task = self.task
        scores = forward(network, batch.x, task.precision)
        loss = self.criterion(scores, batch.labels)
        self.broken = torch.where((self.broken < 0) & ~loss.detach().isfinite(), step, self.broken)
        # On a GPU, asking makes it wait; at an epoch's end nothing may slip through to the checkpoint.
        if task.device.type == "cpu" or step % 20 == 0 or (step + 1) % self.steps == 0:
            self._must_be_finite(loss, batch.x, step)
        self.optimizer.zero_grad()
        (loss * batch.weight).backward()
        self.optimizer.step(rate, step / self.total)
        if self.average is not None:
            self.average.update(self.network)
        if batch.weight == 0:
            return loss.detach() * 0, loss.detach() * 0
        return loss.detach() * len(batch.labels), (scores.detach().argmax(dim=1) != batch.labels).sum()

    def _must_be_finite(self, loss: torch.Tensor, x: torch.Tensor, step: int) -> None:
        if math.isfinite(self.task.processes.total(loss.detach())):  # of all, so that all stop together
            return
        first = int(self.broken) if self.broken >= 0 else step  # if it was another process's
        # Seen later, as on a GPU, the weights of all layers are broken.
        layer = f"the first layer to blame is {first_not_finite(self.network, x)}; " if first == step else ""
        raise Diverged(
            f"the loss is no longer a finite number at step {first + 1}, in epoch {self.progress.epoch + 1}, at a "
            f"learning rate of {self.learning_rate * self.factor(first):.3g} (its peak is {self.learning_rate:g}); "
            f"{layer}lower the network's `learning_rates`, {self._kept()}"
        )

    def _kept(self) -> str:
        epoch = self.progress.epoch
        return f"the checkpoint of epoch {epoch} is kept" if epoch else "no epoch had ended, so no checkpoint is there"

    def close_epoch(self, row: dict[str, float]) -> None:
        """Look at val, and keep these weights if they are the best so far."""
        progress = self.progress
        if self.average is not None:
            with self.average.in_place(self.network):
                self._look_at_val(row)
        else:
            self._look_at_val(row)
        progress.epoch += 1
        progress.steps += self.steps
        progress.history.append(row)
        guesses = self.guesses
        progress.guessing = progress.guessing + 1 if row["train_error"] > guesses > progress.best_error else 0

    def _look_at_val(self, row: dict[str, float]) -> None:
        task, progress = self.task, self.progress
        seen = evaluate(self.network, task, task.val, self.criterion)
        if not math.isfinite(seen["loss"]):
            raise Diverged(
                f"the loss on val is no longer a finite number after epoch {progress.epoch + 1}, at a peak rate "
                f"of {self.learning_rate:g}; lower the network's `learning_rates`, {self._kept()}"
            )
        row |= {f"val_{name}": value for name, value in seen.items()}
        if not self.val_chooses or (row["val_error"], row["val_loss"]) < (progress.best_error, progress.best_loss):
            progress.best_epoch, progress.best_error = progress.epoch + 1, row["val_error"]
            progress.best_loss = row["val_loss"]
            self.best = _copy(self.network)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: tensors and plain values."""
        return {
            "of": self.of,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else {"steps": self.average.steps, "values": self.average.values},
            "best": self.best,
            "progress": dict(vars(self.progress)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            PipelineError: it belongs to other settings.
        """
        device = self.task.device
        other = {key: value for key, value in state["of"].items() if self.of.get(key) != value}
        if other:
            differing = ", ".join(f"{key} was {value!r} and is {self.of.get(key)!r}" for key, value in other.items())
            raise PipelineError(
                f"the checkpoint belongs to other settings: {differing}; set them as they were to go on, or delete "
                "it to start anew"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.steps = state["average"]["steps"]
            self.average.values = _to(state["average"]["values"], device)
        self.best = _to(state["best"], device)
        for name, value in state["progress"].items():
            setattr(self.progress, name, value)


def _compiled(network: nn.Module, task: Task) -> Any:
    """On one GPU the network's many small kernels are also recorded, and started as one (CUDA graphs)."""
    recorded = task.device.type == "cuda" and task.processes.world == 1
    return torch.compile(network, mode="reduce-overhead" if recorded else None)


def _learn_from_train(network: nn.Module, task: Task) -> None:
    learn = getattr(network, "learn_from", None)
    if learn is not None:
        height, width = task.train.image_size
        count = min(LEARNED_FROM, len(task.train), max(1, PIXELS_LEARNED_FROM // (height * width)))
        numbers = generator(task.seed, "learned from").permutation(len(task.train))[:count]
        learn(to_input(task.train.batch(numbers), task.normalisation))


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _to(values: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in values.items()}
