"""publish: reports/metrics.json → reports/published/<dataset>/results.json, with all that is needed to repeat it."""

import datetime
import re
import shlex
import statistics
from typing import Any

from pipeline import catalogue, layout, progress
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json, write_json
from pipeline.settings import load

#: What two runs must share for their seeds to be averaged.
SAME = ("train", "val", "test", "budget", "views")


def run(date: str, changes: list[str], name: str, add: bool = False) -> None:
    """Write the figures of the last `evaluate` in the published format: errors in percent, lists over seeds.

    Args:
        date: YYYY-MM-DD; empty: today.
        changes: settings that the command must repeat.
        name: of the file.
        add: keep what the file has: rows of other methods stay, and a method's other seeds are averaged with this one.
    """
    metrics = read_json(layout.METRICS, "evaluate")
    environment = read_json(layout.TABLES / "environment.json", "evaluate")
    day = date or datetime.date.today().isoformat()
    settings = [f"{key}={metrics[key]}" for key in ("dataset", "budget", "seed")]
    chosen = load()
    for family in ("features", "matchers", "fusions", "networks"):
        settings.append(f"{family}=[{','.join(getattr(chosen, family))}]")
    command = "dvc exp run " + " ".join(f"-S {shlex.quote(change)}" for change in settings + changes)
    rows = [_row(key, values, metrics, environment, command, day) for key, values in metrics["methods"].items()]
    path = layout.REPORTS / "published" / metrics["dataset"] / f"{name}.json"
    if add and path.exists():
        rows = _joined(read_json(path, "publish"), rows, metrics["confidence"])
    write_json(path, rows)
    progress.say(f"published: {path}")


def _joined(before: list[dict[str, Any]], now: list[dict[str, Any]], confidence: float) -> list[dict[str, Any]]:
    """Rows of both; where a method is in both with the same images, budget and views, the mean over their seeds."""
    rows = {row["method"]: row for row in before}
    for row in now:
        other = rows.get(row["method"])
        same = other is not None and all(other.get(key) == row[key] for key in SAME)
        seeds = other["seeds"] if other is not None and same else []
        if other is not None and row["seeds"][0] not in seeds and seeds:
            row = _with_seed(other, row, confidence)
        rows[row["method"]] = row
    order = [method.key for method in catalogue.by_year(rows)]
    return [rows[key] for key in order]


def _with_seed(other: dict[str, Any], row: dict[str, Any], confidence: float) -> dict[str, Any]:
    """The mean of errors, its interval (that of one run with this error: the seeds share their test images)."""
    joined = row | {"seeds": other["seeds"] + row["seeds"]}
    for k in (1, 5):
        errors = other[f"top{k}_errors"] + row[f"top{k}_errors"]
        joined[f"top{k}_errors"] = errors
        if None in errors:
            continue
        mean = statistics.fmean(errors)
        interval = wilson_interval(mean / 100 * row["test"], row["test"], confidence)
        joined |= {f"top{k}_error": round(mean, 4), f"top{k}_interval": [round(100 * end, 4) for end in interval]}
    for key in ("val_top1_error", "train_seconds", "predict_ms"):
        joined[key] = round((other[key] * len(other["seeds"]) + row[key]) / len(joined["seeds"]), 4)
    joined["command"] = re.sub(r"seed=\S+", f"seed={','.join(map(str, joined['seeds']))}", row["command"])
    return joined


def _row(
    key: str, values: dict[str, Any], metrics: dict[str, Any], environment: dict[str, Any], command: str, day: str
) -> dict[str, Any]:
    test, cost = values["test"], values["cost"]
    device = cost["device"]
    if device == "cpu":
        device = f"cpu: {environment['processor']}, {environment['cores']} cores"
    return {
        "method": key,
        **metrics["images"],
        "budget": metrics["budget"],
        "views": cost["views"],
        "seeds": [metrics["seed"]],
        "top1_error": test["top1_error"],
        "top1_errors": [test["top1_error"]],
        "top1_interval": [test["top1_low"], test["top1_high"]],
        "top5_error": test["top5_error"],
        "top5_errors": [test["top5_error"]],
        "top5_interval": [test["top5_low"], test["top5_high"]],
        "val_top1_error": values["val"]["top1_error"],
        "train_seconds": cost["training_seconds"],
        "predict_ms": cost["prediction_ms"],
        "device": device,
        "precision": cost["precision"],
        "command": command,
        "commit": environment["commit"],
        "versions": {"python": environment["python"], **environment["packages"]},
        "date": day,
    }
