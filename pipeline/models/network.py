"""A network: its learning rate is chosen on val, its best epoch is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pipeline.data.contract import TrainingData
from pipeline.data.pooled import Pooled
from pipeline.device import device_name, pick_device, pick_precision
from pipeline.models.familiarity import Familiarity
from pipeline.models.fitted import Fitted
from pipeline.models.model import Facts, Model, Seen, with_prefix, without_prefix
from pipeline.models.recipe import Recipe
from pipeline.models.space import Space, some_rows
from pipeline.networks.parts.counting import count_parameters, table
from pipeline.networks.parts.layers import EuclideanRadialBasis, LocallyConnected2d
from pipeline.settings import Compute
from pipeline.training.images import Normalisation, Pixels
from pipeline.training.loop import Watch, unwatched
from pipeline.training.memory import keep_freed_memory
from pipeline.training.pace import Pace, paced
from pipeline.training.prediction import EVAL_BATCH, VIEWS, predict_and_watch
from pipeline.training.processes import ALONE, Processes
from pipeline.training.tasks import Task, make_task, rebuild
from pipeline.training.tuning import Trained, train_again, tune_and_train
from pipeline.workfolder import work_folder

WEIGHTED = (nn.Linear, nn.Conv2d, EuclideanRadialBasis, LocallyConnected2d)
TRACED = 16_384  # numbers that training images are known by, at most, but in very wide networks
PRECISIONS = {torch.bfloat16: "bf16", torch.float32: "fp32"}


@dataclass(frozen=True)
class Network(Model):
    """A trained network, and what is done to images before they enter it.

    Attributes:
        network: in evaluation mode, on the device.
        image_shape: (channels, H, W) of what it takes.
        normalisation: of its input.
        precision: of convolutions and matrix products.
        processes: among which images are shared out.
    """

    recipe: Recipe
    network: nn.Module
    image_shape: tuple[int, int, int]
    normalisation: Normalisation
    device: torch.device
    precision: torch.dtype
    processes: Processes = ALONE
    batch: ClassVar[int] = EVAL_BATCH

    def see(self, images: np.ndarray) -> Seen:
        """See Model; scores of an image's views are averaged, and its embedding is what enters the last layer."""
        pixels = Pixels(images, self.image_shape[0], self.device)
        layers = [module for module in self.network.modules() if isinstance(module, WEIGHTED)]
        return Seen(*predict_and_watch(self.network, self, pixels, self.recipe.settings.views, layers))

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and statistics by their places in the network, and the normalisation of its input."""
        weights = {name: value.detach().cpu().contiguous().numpy() for name, value in self.network.state_dict().items()}
        own = {"mean": np.array(self.normalisation.mean), "std": np.array(self.normalisation.std)}
        return with_prefix("network", weights) | with_prefix("normalisation", own)

    def facts(self) -> Facts:
        """Counted layer by layer."""
        return Facts(
            bytes=self.nbytes,
            parameters=count_parameters(self.network),
            multiply_adds=sum(layer.multiply_adds for layer in table(self.network, self.image_shape)),
            device=device_name(self.device),
            precision=PRECISIONS[self.precision],
            threads=torch.get_num_threads(),
            views=VIEWS[self.recipe.settings.views],
        )


def restore(recipe: Recipe, arrays: dict[str, np.ndarray], card: Any, compute: Compute) -> Network:
    """A model from what `arrays` gave; it computes as it did when it was scored, where this device can.

    Raises:
        KeyError, ValueError, RuntimeError: an array is missing, or of another network.
    """
    height, width = card.image.height, card.image.width
    shape = (1 if card.image.grey else 3), height, width
    weights = {name: torch.from_numpy(array) for name, array in without_prefix("network", arrays).items()}
    network = rebuild(recipe.key, recipe.settings, shape, len(card.classes), weights)
    normal = without_prefix("normalisation", arrays)
    device = pick_device(compute.device)
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Network(
        recipe, network, shape, Normalisation(normal["mean"].tolist(), normal["std"].tolist()), device,
        _precision(recipe, card.cost.precision, device),
    )  # fmt: skip


def _precision(recipe: Recipe, before: str, device: torch.device) -> torch.dtype:
    wanted: str = recipe.settings.precision
    return torch.float32 if before == "fp32" else pick_precision(wanted, device)


# ---------------------------------------------------------------------------------------------------- fitting


def fit(
    recipe: Recipe,
    data: TrainingData,
    compute: Compute,
    work: Path,
    processes: Processes = ALONE,
    title: str | None = None,
    watch: Watch = unwatched,
) -> Fitted:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch.

    With `refit` the network is then trained from the start on train and val together.

    Args:
        work: a folder for checkpoints, of this training alone (see `training_work`).
        processes: that train it together.
        title: of the progress bar.
        watch: called after each epoch of the full training, by the first process.

    Raises:
        Senseless: settings that make no sense on this network or these images.
        Diverged: with every learning rate.
    """
    keep_freed_memory()
    settings = paced(recipe.key, recipe.settings, len(data.train))
    task = make_task(recipe.key, settings, recipe.allowed, recipe.seed, data, compute, processes)
    trained = tune_and_train(title or f"cnn {recipe.key}", task, settings, work, watch)
    model = _model(recipe, trained.network, task, data)
    tuning = trained.seconds - trained.final_seconds
    scores, familiarity, strangeness = _see_val(model, data)
    seconds = trained.seconds
    if recipe.refit:
        again, took = _again(recipe, trained, data, compute, work, processes, title)
        seconds += took
        if again is not None:
            model = again
            _, familiarity, strangeness = _see_val(model, data)  # layers are known by this network
    return Fitted(model, scores, familiarity, strangeness, trained.tuning, seconds, tuning, trained.history)


def _model(recipe: Recipe, network: nn.Module, task: Task, data: TrainingData) -> Network:
    return Network(recipe, network, data.image_shape, task.normalisation, task.device, task.precision, task.processes)


def _again(
    recipe: Recipe,
    trained: Trained,
    data: TrainingData,
    compute: Compute,
    work: Path,
    processes: Processes,
    title: str | None,
) -> tuple[Network | None, float]:
    """The network from train and val together, if it learned, and the seconds that it took."""
    pool = Pooled.of(data)
    both = replace(data, train=pool.rows(f"train-and-val-{processes.rank}", np.ones(len(pool), bool), work))
    pace, larger = (Pace.of(recipe.settings, len(split)) for split in (data.train, both.train))
    passes = pace.passes * recipe.settings.epochs * larger.steps  # as many an epoch as before: more images are no fewer
    update = {"batch_size": larger.batch_size, "least_steps": passes}
    settings = recipe.settings.model_copy(update=update)
    task = make_task(recipe.key, settings, recipe.allowed, recipe.seed, both, compute, processes)
    network, took = train_again(f"{title or f'cnn {recipe.key}'} on train and val", task, settings, trained, work)
    return (None if network is None else _model(recipe, network, task, data)), took


def _see_val(model: Network, data: TrainingData) -> tuple[np.ndarray, Familiarity, np.ndarray]:
    """Scores of val, and what some training images and val tell of strangers, in one pass over each."""
    rows = some_rows(len(data.train), TRACED, model.recipe.seed)
    train = np.concatenate([seen.told_by for seen in model.batches(data.train.images[rows])])
    space = Space.of(train, model.recipe.seed)
    scores = []

    def watched() -> Iterator[Seen]:
        for seen in model.batches(data.val.images):
            scores.append(seen.scores)
            yield seen

    familiarity, strangeness = Familiarity.of(space, watched())
    return np.concatenate(scores), familiarity, strangeness


def training_work(step: str, recipe: Recipe, data: TrainingData, compute: Compute) -> Path:
    """Where a training leaves its checkpoints: another folder for whatever leads to other weights.

    Not for another list of learning rates: each rate's try and checkpoint are its own, so that whoever lowers the list
    after a divergence goes on from what the rates in both lists have reached.
    """
    code = Path(__file__).parents[1]
    start = ["pretrained"] if recipe.method.family == "fine_tuned" else []
    device = pick_device(compute.device)
    return work_folder(
        step,
        [code / name for name in ("augmentation", "networks", "training", "randomness.py", *start)],
        parameters=recipe.settings.model_dump(exclude={"learning_rates"}),
        splits=data.fingerprint,
        augmentation=recipe.allowed.model_dump(),
        precision=str(pick_precision(recipe.settings.precision, device)),
        device=device.type,
        seed=recipe.seed,
    )
