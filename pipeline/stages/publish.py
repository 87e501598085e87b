"""publish: reports/metrics.json → reports/published/<dataset>/results.json, with all that is needed to repeat it.

The table of an ablated network goes beside it, into ablation-<network>.json, every fit of the learning curves into
curve.json, where two of them cross into crossing.json, and errors on changed test images into robustness.json. Runs
that are not the data set's main one have a name of their own: `results-NAME.json`, `robustness-NAME.json` and so on.
"""

import datetime
import re
import shlex
import statistics
from typing import Any

import torch

from pipeline import catalogue, layout, progress
from pipeline.device import device_name, pick_device, pick_precision
from pipeline.errors import PipelineError
from pipeline.evaluation.confidence import AT_LEAST
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json, write_json
from pipeline.report.repeat import refused
from pipeline.settings import Settings, load

#: What two runs must share for their seeds to be averaged.
SAME = ("train", "val", "test", "budget", "views")
#: What thousands of rows name of the versions: what computes pixels and scores.
COMPUTING = ("python", "numpy", "scikit-image", "scikit-learn", "opencv-python", "pillow", "torch")
#: What is given for a single seed only.
OF_ONE_SEED = ("ece", AT_LEAST, "unlike_training")


def run(date: str, changes: list[str], name: str, add: bool = False) -> None:
    """Write the figures of the last `evaluate` in the published format: errors in percent, lists over seeds.

    Args:
        date: YYYY-MM-DD; empty: today.
        changes: settings that the command must repeat.
        name: of the file: `results`, or `results-NAME` for a run that is not the data set's main one.
        add: keep what the file has: rows of other methods stay, and a method's other seeds are averaged with this one.

    Raises:
        PipelineError: DVC would not take one of `changes`, so that nobody could repeat the command.
    """
    wrong = refused(changes)
    if wrong is not None:
        raise PipelineError(
            f"publish: `dvc exp run` does not take `-S {wrong}` with params.yaml as the project comes; write a plus "
            "before a key that it does not have (+key=value), and the budget's name behind a key whose value is given "
            "for each budget (key.demo=value)"
        )
    metrics = read_json(layout.METRICS, "evaluate")
    environment = read_json(layout.TABLES / "environment.json", "evaluate")
    day = date or datetime.date.today().isoformat()
    settings = [f"{key}={metrics[key]}" for key in ("dataset", "budget", "seed")]
    chosen = load()
    for family in catalogue.SELECTED_BY.values():
        settings.append(f"{family}=[{','.join(getattr(chosen, family))}]")
    if chosen.other_seeds:
        settings.append(f"seeds=[{','.join(map(str, chosen.seeds or []))}]")
    settings.append(f"curve.methods=[{','.join(chosen.curve.methods)}]")
    if chosen.ablate.networks:
        settings.append(f"ablate.networks=[{','.join(chosen.ablate.networks)}]")
    command = "dvc exp run " + " ".join(f"-S {shlex.quote(change)}" for change in settings + changes)
    how = _how(environment, command, day)
    noticed = _noticed()
    rows = [_row(key, values, metrics, how, noticed.get(key)) for key, values in metrics["methods"].items()]
    folder = layout.REPORTS / "published" / metrics["dataset"]
    for key in chosen.ablate.networks:
        path = folder / f"ablation-{key}.json"
        write_json(path, _ablation(key, chosen, metrics, how))
        progress.say(f"published: {path}")
    if metrics["curve"]:
        path = folder / _named("curve", name)
        fits = _curve(metrics["curve"], how)
        write_json(path, _with_others(read_json(path, "publish"), fits) if add and path.exists() else fits)
        progress.say(f"published: {path}")
        path = folder / _named("crossing", name)
        pairs = _crossings(metrics["curve"], metrics["confidence"], how)
        write_json(path, _with_other_pairs(read_json(path, "publish"), pairs) if add and path.exists() else pairs)
        progress.say(f"published: {path}")
    if metrics["robustness"]:
        path = folder / _named("robustness", name)
        changed = _robustness(metrics["robustness"], metrics["seed"], how)
        if add and path.exists():
            changed = _beside(read_json(path, "publish"), changed)
        write_json(path, changed)
        progress.say(f"published: {path}")
    path = folder / f"{name}.json"
    if add and path.exists():
        rows = _joined(read_json(path, "publish"), rows, metrics["confidence"])
    write_json(path, rows)
    progress.say(f"published: {path}")


def _named(kind: str, name: str) -> str:
    """The file of this kind that belongs to `name`: curve.json to results, curve-few.json to results-few."""
    return f"{kind}{name.removeprefix('results')}.json" if name.startswith("results") else f"{kind}-{name}.json"


def _curve(curve: dict[str, Any], how: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a fit, errors in percent; `how` it came about stands in each, since rows of several runs are joined."""
    own = {"command": how["command"], "device": how["device"], "commit": how["commit"], "date": how["date"]}
    return [
        {"method": key, "n": row["images"], **fit, **own, "versions": how["versions"]}
        for key, method in curve["methods"].items()
        for row in method["rows"]
        for fit in row["fits"]
    ]


def _crossings(curve: dict[str, Any], confidence: float, how: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a pair of methods of two eras: from how many labelled images on the newer one errs less."""
    named = ("old", "new", "kind", "median", "low", "high", "sizes")
    own = {"command": how["command"], "device": how["device"], "commit": how["commit"], "date": how["date"]}
    return [{**{name: pair[name] for name in named}, "confidence": confidence, **own} for pair in curve["pairs"]]


def _with_other_pairs(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of both; what is in both is what was measured now."""
    return list({(row["old"], row["new"]): row for row in [*before, *now]}.values())


def _robustness(found: dict[str, Any], seed: int, how: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method, change and severity, errors in percent; severity 0 is the images as they are."""
    named = ("change", "severity", "images", "top1_error", "top1_low", "top1_high", "unchanged")
    versions = {name: how["versions"][name] for name in COMPUTING if name in how["versions"]}
    own = {"seed": seed, "command": how["command"], "device": how["device"], "commit": how["commit"]}
    return [
        {"method": key, **{name: row[name] for name in named}, **own, "versions": versions, "date": how["date"]}
        for key, method in found["methods"].items()
        for row in method["rows"]
    ]


def _beside(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of both; what is in both is what was measured now.

    Raises:
        PipelineError: they are of other images, seeds or changes, and must not stand beside each other.
    """
    same = [{(row["change"], row["severity"], row["images"], row["seed"]) for row in rows} for rows in (before, now)]
    if before and same[0] != same[1]:
        raise PipelineError(
            "publish: `--add` would put errors on other changed images beside those in robustness.json; measure with "
            "the same `robustness` and seed, or publish under another --name"
        )
    keys = {row["method"] for row in now}
    return [*(row for row in before if row["method"] not in keys), *now]


def _with_others(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of both, by method, number of images and seed; what is in both is what was measured now."""
    rows = {(row["method"], row["n"], row["seed"]): row for row in [*before, *now]}
    order = [method.key for method in catalogue.by_year({key for key, _, _ in rows})]
    return [rows[place] for place in sorted(rows, key=lambda place: (order.index(place[0]), *place[1:]))]


def _joined(before: list[dict[str, Any]], now: list[dict[str, Any]], confidence: float) -> list[dict[str, Any]]:
    """Rows of both; where a method is in both with the same images, budget and views, the mean over their seeds."""
    rows = {row["method"]: row for row in before}
    for row in now:
        other = rows.get(row["method"])
        same = other is not None and all(other.get(key) == row[key] for key in SAME)
        seeds = other["seeds"] if other is not None and same else []
        if other is not None and seeds and len(row["seeds"]) == 1 and row["seeds"][0] not in seeds:
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
    for key in OF_ONE_SEED:
        joined.pop(key, None)
    once = re.sub(r"seed=\S+", "seed=$seed", row["command"])
    joined["command"] = f"for seed in {' '.join(map(str, joined['seeds']))}; do {once}; done"
    return joined


def _noticed() -> dict[str, dict[str, float]]:
    """How often each method of this run takes images for strangers, in percent by kind; {} where nobody measured it."""
    path = layout.RESULTS / "unlike" / "detection.json"
    if not path.exists():
        return {}
    found = read_json(path, "unlike")
    return {key: {kind: round(share["percent"], 4) for kind, share in kinds.items()} for key, kinds in found.items()}


def _row(
    key: str,
    values: dict[str, Any],
    metrics: dict[str, Any],
    how: dict[str, Any],
    noticed: dict[str, float] | None,
) -> dict[str, Any]:
    test, cost, calibration = values["test"], values["cost"], values["calibration"]
    seeds = [metrics["seed"]]
    each = {
        "test": [test["top1_error"]],
        "test_top5": [test["top5_error"]],
        "train_seconds": [cost["training_seconds"]],
    }
    val_error = values["val"]["top1_error"]
    if metrics["seeds"]:
        own = metrics["seeds"]["methods"][key]
        seeds, val_error = [int(seed) for seed in own["test"]], own["val_error"]
        each = {name: list(own[name].values()) for name in each}
    return {
        "method": key,
        **metrics["images"],
        "budget": metrics["budget"],
        "views": cost["views"],
        "seeds": seeds,
        "top1_error": test["top1_error"],
        "top1_errors": each["test"],
        "top1_interval": [test["top1_low"], test["top1_high"]],
        "top5_error": test["top5_error"],
        "top5_errors": each["test_top5"],
        "top5_interval": [test["top5_low"], test["top5_high"]],
        "val_top1_error": val_error,
        "ece": calibration["ece_after"],
        AT_LEAST: calibration[AT_LEAST],
        **({"unlike_training": noticed} if noticed else {}),
        "train_seconds": round(statistics.fmean(each["train_seconds"]), 4),
        "predict_ms": cost["prediction_ms"],
        **how,
        "device": how["device"] if cost["device"] == "cpu" else cost["device"],
        "precision": cost["precision"],
    }


def _ablation(key: str, chosen: Settings, metrics: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    """Errors are on val, in percent, as in the report's table."""
    device = pick_device(chosen.compute.device)
    precision = pick_precision(chosen.network(key).precision, device)
    return {
        "network": key,
        **metrics["images"],
        "budget": metrics["budget"],
        "seed": metrics["seed"],
        "errors_on": "val",
        **how,
        "device": how["device"] if device.type == "cpu" else device_name(device),
        "precision": "bf16" if precision == torch.bfloat16 else "fp32",
        "rows": read_json(layout.RESULTS / "ablate" / key / "table.json", f"ablate@{key}"),
    }


def _how(environment: dict[str, Any], command: str, day: str) -> dict[str, Any]:
    return {
        "device": f"cpu: {environment['processor']}, {environment['cores']} cores",
        "precision": "",
        "command": command,
        "commit": environment["commit"],
        "versions": {"python": environment["python"], **environment["packages"]},
        "date": day,
    }
