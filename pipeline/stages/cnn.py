"""cnn: data/ → results/cnn/<network>/: train one network, its learning rate chosen on val, and score test once."""

import shutil
import time
from typing import Any

import torch

from pipeline import layout, settings
from pipeline.data.contract import SPLITS, load_manifest, load_split
from pipeline.device import device_name, pick_device
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import size_of, write_json
from pipeline.networks.parts.counting import count_parameters, table_as_dicts
from pipeline.settings import Settings, Training
from pipeline.training.images import Images
from pipeline.training.memory import keep_freed_memory
from pipeline.training.prediction import VIEWS, predict
from pipeline.training.processes import Processes, together
from pipeline.training.record import record
from pipeline.training.stored import WEIGHTS, Stored, store
from pipeline.training.tasks import channels_of, make_task, shape_of, work_folder_of
from pipeline.training.tuning import tune_and_train


def run(key: str) -> None:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch."""
    keep_freed_memory()
    chosen = settings.load()
    with together(pick_device(chosen.compute.device)) as processes:
        _run(key, chosen, processes)


def _run(key: str, chosen: Settings, processes: Processes) -> None:
    parameters: Training = chosen.network(key)
    manifest = load_manifest()
    splits = {name: load_split(name) for name in SPLITS}
    task = make_task(key, chosen, parameters, manifest, splits, processes)
    work = work_folder_of(f"cnn-{key}", chosen, parameters, manifest, task)
    trained = tune_and_train(f"cnn {key}", task, parameters, work)
    network = trained.network

    channels, shape = channels_of(manifest), shape_of(manifest)
    test = Images(splits["test"], channels, task.device)
    views = parameters.views
    predict(network, task, Images(_first(splits["test"], 64), channels, task.device), views)  # warm up
    started = time.perf_counter()
    test_scores = predict(network, task, test, views)
    prediction_seconds = (time.perf_counter() - started) / len(test)

    val_scores = predict(network, task, task.val, views)
    if not processes.first:
        return
    folder = layout.results_of("network", key)
    shutil.rmtree(folder, ignore_errors=True)
    store(folder, key, parameters, Stored(network, shape, manifest["classes"], task.normalisation))
    layers = table_as_dicts(network, shape)
    write_json(folder / "layers.json", layers)
    record(folder, trained.history)
    cost = Cost(
        training_seconds=trained.seconds,
        prediction_seconds=prediction_seconds,
        bytes=size_of(folder / WEIGHTS),
        parameters=count_parameters(network),
        multiply_adds=sum(layer["multiply_adds"] for layer in layers),
        device=device_name(task.device),
        precision="bf16" if task.precision == torch.bfloat16 else "fp32",
        threads=torch.get_num_threads(),
        views=VIEWS[views],
        tuning_seconds=trained.seconds - trained.final_seconds,
    )
    scores = {"val": val_scores, "test": test_scores}
    write_result(folder, scores, {name: splits[name] for name in scores}, cost, trained.tuning)
    shutil.rmtree(work, ignore_errors=True)


def _first(split: Any, count: int) -> Any:
    return type(split)(split.name, split.images[:count], split.labels[:count], split.ids[:count])
