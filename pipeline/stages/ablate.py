"""ablate: data/ → results/ablate/<network>/table.json: one network with one thing changed at a time.

Every row gets the same tries of learning rates and the same length. They are compared on val: nothing is chosen by
them, but whoever reads the table will choose, and test is for what was chosen.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json, write_json
from pipeline.networks.parts.switches import Senseless
from pipeline.settings import Settings, Training
from pipeline.training.loop import Diverged
from pipeline.training.memory import keep_freed_memory
from pipeline.training.prediction import predict
from pipeline.training.processes import refuse_several
from pipeline.training.tasks import Task, make_task, work_folder_of
from pipeline.training.tuning import Trained, tune_and_train

AS_IT_IS: dict[str, Any] = {}
SEEN_IN_NETWORK = {"activation", "dropout", "batch_norm", "pooling"}  # what these change, its description shows


def run(key: str | None = None) -> None:
    """Train the network as it is and once with each change; a killed run goes on with the change it was at.

    Args:
        key: of the network; None: every one of `ablate.networks`.
    """
    keep_freed_memory()
    refuse_several("ablate")
    chosen = settings.load()
    keys = chosen.ablate.networks if key is None else [key]
    if not keys:
        raise PipelineError(
            "params.yaml: `ablate.networks` is empty; list networks there, or name one on the command line"
        )
    for one in keys:
        chosen.network(one)  # a wrong name is told before the first training
    for one in keys:
        _run(one, chosen)


def _run(key: str, chosen: Settings) -> None:
    manifest = load_manifest()
    splits = {name: load_split(name) for name in ("train", "val")}
    rows, works, first = [], [], ""
    for change in [AS_IT_IS, *chosen.ablate.changes]:
        name = ", ".join(f"{name}: {_word(value)}" for name, value in change.items()) or "as it is"
        progress.say(f"ablate {key}: {name}")
        try:
            parameters = chosen.network(key, change)
            task = make_task(key, chosen, parameters, manifest, splits)
            what = _description(task, parameters)
            first = first or what
            if change and what == first:
                raise Senseless(f"{key} is so already")
            work = work_folder_of(f"ablate-{key}", chosen, parameters, manifest, task)
            works.append(work)
            row = _row(key, chosen, parameters, task, splits["val"].labels, work)
        except Senseless as error:
            row = {"error": None, "note": str(error)}
        rows.append({"change": name, **row})
    folder = layout.RESULTS / "ablate" / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "table.json", rows)
    for work in works:
        shutil.rmtree(work, ignore_errors=True)


def _description(task: Task, parameters: Training) -> str:
    """Equal where two trainings are the same, whatever their switches are called."""
    return f"{task.build()} {parameters.model_dump(exclude=SEEN_IN_NETWORK)}"


def _row(
    key: str, chosen: Settings, parameters: Training, task: Task, labels: np.ndarray, work: Path
) -> dict[str, Any]:
    """A finished row is read, another one trained.

    Unlike a network of the comparison, a row takes over no tries from another list of rates: all get the same.
    """
    own = work / " ".join(f"{rate:g}" for rate in sorted(parameters.learning_rates))
    if not (own / "row.json").exists():
        write_json(own / "row.json", _trained_row(key, chosen, parameters, task, labels, own))
    row: dict[str, Any] = read_json(own / "row.json", f"ablate@{key}")
    return row


def _trained_row(
    key: str, chosen: Settings, parameters: Training, task: Task, labels: np.ndarray, work: Path
) -> dict[str, Any]:
    try:
        trained = tune_and_train(f"ablate {key}", task, parameters, work)
    except Diverged as error:
        return {"error": None, "note": f"diverged: {error}"}
    wrong = predict(trained.network, task, task.val, parameters.views).argmax(axis=1) != labels
    low, high = wilson_interval(int(wrong.sum()), len(wrong), chosen.evaluation.confidence)
    return {
        "error": 100 * float(wrong.mean()),
        "low": 100 * low,
        "high": 100 * high,
        "train_error": 100 * trained.history.history[trained.history.best_epoch - 1]["train_error"],
        "learning_rate": next(trial["value"] for trial in trained.tuning if trial["chosen"]),
        "best_epoch": trained.history.best_epoch,
        "seconds": trained.seconds,
        "note": "",
        **_inside(trained),
    }


def _inside(trained: Trained) -> dict[str, float | None]:
    """How much smaller the first layer's gradient is than the last's at the end of the first epoch, and dead units."""
    first = [row for row in trained.history.layers if row["epoch"] == 1]
    gradients = [float(row["gradient"]) for row in first if "gradient" in row]
    silent = [float(row["silent"]) for row in trained.history.layers if "silent" in row]
    return {
        "gradient_ratio": gradients[0] / gradients[-1] if gradients and gradients[-1] > 0 else None,
        "silent": float(np.mean(silent)) if silent else None,
    }


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
