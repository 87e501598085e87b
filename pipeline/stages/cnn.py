"""cnn: data/ → results/cnn/<network>/: train one network, its learning rate chosen on val, and score test once."""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from pipeline import catalogue, layout, progress, settings
from pipeline.data.contract import SPLITS, load_manifest, load_split
from pipeline.device import device_name, pick_device, pick_precision
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import size_of, write_json
from pipeline.networks.layers import count_multiply_adds, count_parameters
from pipeline.settings import Settings, Training
from pipeline.training.images import Images, Normalisation
from pipeline.training.loop import Diverged, Progress, Task, fit, predict
from pipeline.training.memory import keep_freed_memory
from pipeline.training.record import record
from pipeline.workfolder import work_folder


def run(key: str) -> None:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch."""
    keep_freed_memory()
    chosen = settings.load()
    parameters: Training = chosen.network(key)
    manifest = load_manifest()
    channels = 1 if manifest["grey"] else 3
    splits = {name: load_split(name) for name in SPLITS}
    device = pick_device(chosen.compute.device)
    height, width, _ = manifest["image_shape"]
    image_shape = (channels, height, width)
    module = catalogue.BY_KEY[key].load()
    task = Task(
        build=lambda: module.build(parameters, image_shape, len(manifest["classes"])),
        train=Images(splits["train"], channels, device),
        val=Images(splits["val"], channels, device),
        normalisation=Normalisation.of(splits["train"], channels),
        augmentation=chosen.source.augmentation,
        device=device,
        precision=pick_precision(parameters.precision, device),
        seed=chosen.seed,
    )
    work = _work_folder(key, chosen, parameters, manifest, task)
    network, history, tuning, seconds = _train(key, task, parameters, work)

    test = Images(splits["test"], channels, device)
    predict(task, network, Images(_first(splits["test"], 64), channels, device))  # warm up
    started = time.perf_counter()
    test_scores = predict(task, network, test)
    prediction_seconds = (time.perf_counter() - started) / len(test)

    folder = layout.results_of("network", key)
    shutil.rmtree(folder, ignore_errors=True)
    _save_model(folder, key, network, parameters, image_shape, manifest["classes"], task.normalisation)
    record(folder, history)
    cost = Cost(
        training_seconds=seconds,
        prediction_seconds=prediction_seconds,
        bytes=size_of(folder / "model.safetensors"),
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(network, image_shape),
        device=device_name(device),
        precision="bf16" if task.precision == torch.bfloat16 else "fp32",
        threads=torch.get_num_threads(),
    )
    scores = {"val": predict(task, network, task.val), "test": test_scores}
    write_result(folder, scores, {name: splits[name] for name in scores}, cost, tuning)
    shutil.rmtree(work, ignore_errors=True)


def _train(
    key: str, task: Task, parameters: Training, work: Path
) -> tuple[nn.Module, Progress, list[dict[str, Any]], float]:
    """Choose the learning rate, then train. Returns the network, its history, what was tried, and all seconds."""
    rates = sorted(parameters.learning_rates)
    clock = _Clock(work / "seconds.json")
    trials = len(rates) * parameters.trial_epochs
    with progress.bar(f"cnn {key}", (trials + parameters.epochs) * len(task.train)) as bar:

        def advance(count: int, note: str) -> None:
            bar.advance(count)
            if note:
                bar.note(note)
                clock.save()

        tuning = _try_rates(task, parameters, rates, work / "trials.json", advance)
        ranked = sorted(tuning, key=lambda trial: (trial["val_error"], trial["val_loss"]))
        network, history, best = _train_with_the_best(task, parameters, ranked, work, advance)
    for trial in tuning:
        trial["chosen"] = trial is best
    return network, history, tuning, clock.total()


def _train_with_the_best(
    task: Task, parameters: Training, ranked: list[dict[str, Any]], work: Path, advance: Callable[[int, str], None]
) -> tuple[nn.Module, Progress, dict[str, Any]]:
    """Train in full with the best rate; one that survived its trial may still diverge, then the next one's turn."""
    for trial in ranked:
        checkpoint = work / f"checkpoint-{trial['value']:g}.pt"
        try:
            network, history = fit(task, parameters, trial["value"], parameters.epochs, checkpoint, advance)
        except Diverged:
            if trial is ranked[-1]:
                raise
            trial["candidate"] += ", diverged in full training"
            progress.say(f"learning rate {trial['value']:g} diverged in full training; going on with the next best")
            continue
        return network, history, trial
    raise AssertionError("no learning rate was given")


def _try_rates(
    task: Task, parameters: Training, rates: list[float], path: Path, advance: Callable[[int, str], None]
) -> list[dict[str, Any]]:
    try:
        done: list[dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError):
        done = []
    for rate in rates[: len(done)]:
        advance(parameters.trial_epochs * len(task.train), f"learning rate {rate:g}: tried before")
    for rate in rates[len(done) :]:
        try:
            _, found = fit(task, parameters, rate, parameters.trial_epochs, None, advance)
            error, loss = found.best_error, found.best_loss
        except Diverged:
            error, loss = 1.0, 1e9
        if not math.isfinite(error):
            error, loss = 1.0, 1e9
        epochs = "1 epoch" if parameters.trial_epochs == 1 else f"{parameters.trial_epochs} epochs"
        name = f"learning rate {rate:g} for {epochs}"
        done.append({"candidate": name, "value": rate, "val_error": error, "val_loss": loss})
        write_json(path, done)
    return done


class _Clock:
    """Seconds of work, those of interrupted runs included."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.perf_counter()
        try:
            self._before = float(json.loads(path.read_text()))
        except (OSError, ValueError):
            self._before = 0.0

    def total(self) -> float:
        return self._before + time.perf_counter() - self._started

    def save(self) -> None:
        write_json(self._path, self.total())


def _save_model(
    folder: Path,
    key: str,
    network: nn.Module,
    parameters: Training,
    image_shape: tuple[int, int, int],
    classes: list[str],
    normalisation: Normalisation,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    architecture = {
        "network": key,
        "settings": parameters.model_dump(),
        "image_shape": list(image_shape),
        "classes": classes,
        "mean": normalisation.mean,
        "std": normalisation.std,
    }
    write_json(folder / "architecture.json", architecture)


def _first(split: Any, count: int) -> Any:
    return type(split)(split.name, split.images[:count], split.labels[:count], split.ids[:count])


def _work_folder(key: str, chosen: Settings, parameters: Training, manifest: dict[str, Any], task: Task) -> Path:
    code = Path(__file__).parents[1]
    return work_folder(
        f"cnn-{key}",
        [code / "networks", code / "training", code / "randomness.py"],
        parameters=parameters.model_dump(),
        splits=manifest["splits"],
        augmentation=chosen.source.augmentation.model_dump(),
        precision=str(task.precision),
        device=task.device.type,
        seed=chosen.seed,
    )
