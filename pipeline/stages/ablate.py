"""ablate: data/ → results/ablate/<network>/table.json: one network with one thing changed at a time.

Every row gets the same tries of learning rates and the same length. They are compared on val: nothing is chosen by
them, but whoever reads the table will choose, and test is for what was chosen.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import TrainingData, load_training_data
from pipeline.errors import PipelineError, Senseless
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json, write_json
from pipeline.models.network import fit, training_work
from pipeline.models.recipe import Recipe
from pipeline.settings import Settings
from pipeline.training.loop import Diverged, Progress
from pipeline.training.processes import refuse_several
from pipeline.training.tasks import build

AS_IT_IS: dict[str, Any] = {}
SEEN_IN_NETWORK = {"activation", "dropout", "batch_norm", "pooling"}  # what these change, its description shows


def run(key: str | None = None) -> None:
    """Train the network as it is and once with each change; a killed run goes on with the change it was at.

    Args:
        key: of the network; None: every one of `ablate.networks`.
    """
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
    data = load_training_data()
    rows, works, first = [], [], ""
    for change in [AS_IT_IS, *chosen.ablate.changes]:
        name = ", ".join(f"{name}: {_word(value)}" for name, value in change.items()) or "as it is"
        progress.say(f"ablate {key}: {name}")
        try:
            recipe = replace(Recipe.of(chosen, key, "network", change), refit=False)  # val tells, so it stays apart
            what = _description(recipe, data)
            first = first or what
            if change and what == first:
                raise Senseless(f"{key} is so already")
            work = training_work(f"ablate-{key}", recipe, data, chosen.compute)
            works.append(work)
            row = _row(recipe, data, chosen, work)
        except Senseless as error:
            row = {"error": None, "note": str(error)}
        rows.append({"change": name, **row})
    folder = layout.RESULTS / "ablate" / key
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "table.json", rows)
    for work in works:
        shutil.rmtree(work, ignore_errors=True)


def _description(recipe: Recipe, data: TrainingData) -> str:
    """Equal where two trainings are the same, whatever their switches are called."""
    network = build(recipe.key, recipe.settings, data.image_shape, len(data.classes))
    return f"{network} {recipe.settings.model_dump(exclude=SEEN_IN_NETWORK)}"


def _row(recipe: Recipe, data: TrainingData, chosen: Settings, work: Path) -> dict[str, Any]:
    """A finished row is read, another one trained.

    Unlike a network of the comparison, a row takes over no tries from another list of rates: all get the same.
    """
    own = work / " ".join(f"{rate:g}" for rate in sorted(recipe.settings.learning_rates))
    if not (own / "row.json").exists():
        write_json(own / "row.json", _trained_row(recipe, data, chosen, own))
    row: dict[str, Any] = read_json(own / "row.json", f"ablate@{recipe.key}")
    return row


def _trained_row(recipe: Recipe, data: TrainingData, chosen: Settings, work: Path) -> dict[str, Any]:
    try:
        fitted = fit(recipe, data, chosen.compute, work, title=f"ablate {recipe.key}")
    except Diverged as error:
        return {"error": None, "note": f"diverged: {error}"}
    wrong = fitted.val_scores.argmax(axis=1) != data.val.labels
    low, high = wilson_interval(int(wrong.sum()), len(wrong), chosen.evaluation.confidence)
    history: Progress = fitted.history
    return {
        "error": 100 * float(wrong.mean()),
        "low": 100 * low,
        "high": 100 * high,
        "train_error": 100 * history.history[history.best_epoch - 1]["train_error"],
        "learning_rate": next(trial["value"] for trial in fitted.trials if trial["chosen"]),
        "best_epoch": history.best_epoch,
        "seconds": fitted.training_seconds,
        "note": "",
        **_inside(history),
    }


def _inside(history: Progress) -> dict[str, float | None]:
    """How much smaller the first layer's gradient is than the last's at the end of the first epoch, and dead units."""
    first = [row for row in history.layers if row["epoch"] == 1]
    gradients = [float(row["gradient"]) for row in first if "gradient" in row]
    silent = [float(row["silent"]) for row in history.layers if "silent" in row]
    return {
        "gradient_ratio": gradients[0] / gradients[-1] if gradients and gradients[-1] > 0 else None,
        "silent": float(np.mean(silent)) if silent else None,
    }


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
