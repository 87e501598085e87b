"""ablate: data/ → results/ablate/<network>/table.json: one network with one thing changed at a time.

Every row gets the same tries of learning rates and the same length. They are compared on val: nothing is chosen by
them, but whoever reads the table will choose, and test is for what was chosen.
"""

import shutil
from typing import Any

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json, write_json
from pipeline.networks.parts.switches import Senseless
from pipeline.settings import Settings
from pipeline.training.loop import Diverged
from pipeline.training.memory import keep_freed_memory
from pipeline.training.prediction import predict
from pipeline.training.tasks import make_task, work_folder_of
from pipeline.training.tuning import Trained, tune_and_train

AS_IT_IS: dict[str, Any] = {}


def run(key: str) -> None:
    """Train the network as it is and once with each change; a killed run goes on with the change it was at."""
    keep_freed_memory()
    chosen = settings.load()
    manifest = load_manifest()
    splits = {name: load_split(name) for name in ("train", "val")}
    rows = []
    works = []
    for change in [AS_IT_IS, *chosen.ablate.changes]:
        name = ", ".join(f"{name}: {_word(value)}" for name, value in change.items()) or "as it is"
        progress.say(f"ablate {key}: {name}")
        try:
            row, work = _row(key, chosen, change, manifest, splits)
            works.append(work)
        except Diverged as error:
            row = {"error": None, "note": f"diverged: {error}"}
        except Senseless as error:
            row = {"error": None, "note": str(error)}
        rows.append({"change": name, **row})
    folder = layout.RESULTS / "ablate" / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "table.json", rows)
    for work in works:
        shutil.rmtree(work, ignore_errors=True)


def _row(
    key: str, chosen: Settings, change: dict[str, Any], manifest: dict[str, Any], splits: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    parameters = chosen.network(key, change)
    task = make_task(key, chosen, parameters, manifest, splits)
    work = work_folder_of(f"ablate-{key}", chosen, parameters, manifest, task)
    if (work / "row.json").exists():
        return read_json(work / "row.json", f"ablate@{key}"), work
    trained = tune_and_train(f"ablate {key}", task, parameters, work)
    wrong = predict(trained.network, task, task.val).argmax(axis=1) != splits["val"].labels
    low, high = wilson_interval(int(wrong.sum()), len(wrong), chosen.evaluation.confidence)
    row = {
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
    write_json(work / "row.json", row)
    return row, work


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
