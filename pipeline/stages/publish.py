"""publish: reports/metrics.json → reports/published/<dataset>/results.json, with all that is needed to repeat it."""

import datetime
import shlex
from typing import Any

from pipeline import layout, progress
from pipeline.files import read_json, write_json
from pipeline.settings import load


def run(date: str, changes: list[str], name: str) -> None:
    """Write the figures of the last `evaluate` in the published format: errors in percent, lists over seeds."""
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
    write_json(path, rows)
    progress.say(f"published: {path}")


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
