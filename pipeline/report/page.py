"""reports/index.html: one file that needs no network, written from files alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from pipeline import catalogue, layout
from pipeline.data.contract import load_split
from pipeline.errors import PipelineError
from pipeline.evaluation import cross_validated
from pipeline.evaluation.results import Outcome, Result
from pipeline.evaluation.summary import leaderboard
from pipeline.files import atomic, read_json
from pipeline.report import curves as learning_curves
from pipeline.report import gallery, ilsvrc, repeat, robustness, seeds, trust, words
from pipeline.report.answer import answer, best_of, val_error
from pipeline.report.charts import cost, curve, errors, learning, story
from pipeline.report.charts.base import ERA_COLOURS, vega_script
from pipeline.report.charts.names import chartable
from pipeline.report.confidence import Confidence, confidence
from pipeline.report.descriptors import descriptors
from pipeline.report.failures import failures
from pipeline.report.faults import Faults
from pipeline.report.networks import ablations, drawn
from pipeline.report.now import uses
from pipeline.report.pictures import data_uri, row_of
from pipeline.report.sights import sights
from pipeline.report.strangers import strangers
from pipeline.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
SAMPLES = 10  # images of each class in the data card
SAMPLED_CLASSES = 30
LISTED = 20
FAMILIES = {
    "feature": "feature + SVM",
    "matcher": "matching",
    "fusion": "fusion",
    "network": "network",
    "pretrained": "features from elsewhere + SVM",
    "fine_tuned": "network from elsewhere, fine-tuned",
}
DOWNLOADS = {
    "leaderboard.csv": layout.TABLES / "leaderboard.csv",
    "per_class.csv": layout.TABLES / "per_class.csv",
    "tuning.csv": layout.TABLES / "tuning.csv",
    "reliability.csv": layout.TABLES / "reliability.csv",
    "risk_coverage.csv": layout.PLOTS / "risk_coverage.csv",
    "metrics.json": layout.METRICS,
}
FOLDS, CURVE, SEEDS = "cross_validation.csv", "curve.csv", "seeds.csv"  # there where there was any
ROBUSTNESS = "robustness.csv"


def write_page(content: dict[str, Any], target: Path) -> None:
    """Render what `gather` found, and write it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "era_name": words.era_name,
        "seconds": words.seconds, "number": words.number, "cell": words.cell,
        "milliseconds": words.milliseconds, "megabytes": words.megabytes, "json": _json,
    }  # fmt: skip
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    own = {"vega": _one_line_end(content["vega"]), "script": _one_line_end(script)}
    hashes = " ".join(_hash(text) for text in own.values())
    page = environment.get_template("page.html").render(content | own | {"style": style, "script_hashes": hashes})
    with atomic(target, "w") as file:
        file.write(page)


def gather(settings: Settings, summary: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Everything that the page shows, from files alone.

    Args:
        settings: of params.yaml.
        summary: metrics.json.
        outcome: what lies in results/.

    Raises:
        PipelineError: metrics.json is of other methods, or a table that evaluation writes is missing.
    """
    summary, outcome = _agreeing(summary, outcome)
    faults = Faults()
    results, classes, test = outcome.results, outcome.manifest["classes"], outcome.splits["test"]
    rows = leaderboard(summary)
    shown = _shown(results, summary)
    best = next(result for result in results if result.method.key == rows[0]["method"])
    networks = drawn(results, faults)
    pool = gallery.pick(test, classes, results, shown)
    where = failures(outcome, shown, best)
    params = Path(settings.path)
    differing, command = repeat.changes(params)
    environment = read_json(layout.TABLES / "environment.json", "evaluate")
    return {
        "summary": summary,
        "seeds": seeds.shown(summary),
        "manifest": outcome.manifest,
        "answer": answer(summary, outcome),
        "folds": cross_validated.rows(summary["cross_validation"]) if summary["cross_validation"] else [],
        **_curves(summary, outcome, faults),
        **_ranking(rows, summary),
        **_learning(),
        "families": FAMILIES,
        "care": ilsvrc.CARE,
        "shown": shown,
        "pool": pool,
        "pictures": gallery.pictures(pool, shown, settings.evaluation.gallery),
        "picture_count": settings.evaluation.gallery,
        "refit": settings.refit,
        "confidence": _confidence(summary, rows, shown),
        "failures": where,
        "best": best,
        "script_data": _script_data(results, pool, where, classes, summary["curve"], summary["confidence"]),
        "tuning": [row | {"title": _titles()[row["method"]], "chosen": row["chosen"] == "True"}
                   for row in _table(layout.TABLES / "tuning.csv")],
        "sights": sights(results, faults),
        "networks": list(networks.values()),
        "descriptors": descriptors(settings, results, faults),
        "variants": {key: network.variant for key, network in networks.items()},
        "ablations": ablations(settings, faults),
        "methods": [result.method for result in results],
        "samples": _samples(classes),
        "environment": environment,
        "params": params.read_text(encoding="utf-8"),
        "changes": differing,
        "command": command,
        "uses": uses(rows),
        "strangers": strangers(results, faults),
        "robustness": robustness.shown(outcome.robustness, summary, shown, classes, rows, faults),
        "citation": trust.citation(summary, environment),
        "limits": trust.limits(summary, outcome.manifest),
        "listed": LISTED,
        "vega": vega_script(),
        "downloads": {name: _download(path) for name, path in _downloads(summary).items()},
        "faults": faults.sentences,
    }  # fmt: skip


def _downloads(summary: dict[str, Any]) -> dict[str, Path]:
    there = {
        FOLDS: summary["cross_validation"],
        CURVE: summary["curve"],
        SEEDS: summary["seeds"],
        ROBUSTNESS: summary["robustness"],
    }
    return DOWNLOADS | {name: layout.TABLES / name for name, found in there.items() if found}


def _agreeing(summary: dict[str, Any], outcome: Outcome) -> tuple[dict[str, Any], Outcome]:
    """Both without the methods that only one of them has: results may have changed since they were evaluated.

    Raises:
        PipelineError: nothing is left.
    """
    usable = {result.method.key for result in outcome.results}
    failed = summary["failed"] | outcome.failed
    for key in usable - set(summary["methods"]):
        failed[key] = f"{layout.METRICS}: does not know {key}, whose results are newer; rerun the stage evaluate"
    methods = {key: values for key, values in summary["methods"].items() if key in usable}
    if not methods:
        raise PipelineError(f"{layout.METRICS}: is of other methods than those in results/; rerun the stage evaluate")
    results = [result for result in outcome.results if result.method.key in methods]
    failed = {key: sentence for key, sentence in failed.items() if key not in methods}
    return summary | {"methods": methods, "failed": failed}, replace(outcome, results=results)


def _shown(results: list[Result], summary: dict[str, Any]) -> list[Result]:
    """What the page compares at first: the best of each era on val; of a single era its two best, the best last."""
    of_eras = [best_of(results, summary, era) for era in ERA_COLOURS]
    found = [result for result in of_eras if result is not None]
    if len(found) == 1:
        found = sorted(results, key=lambda result: -val_error(summary, result.method.key))[-2:]
    return found


def _curves(summary: dict[str, Any], outcome: Outcome, faults: Faults) -> dict[str, Any]:
    """Learning curves."""
    with faults.noted():
        learning_curves.check_some(outcome.curves)
    found = summary["curve"]
    shown = learning_curves.shown(found, summary["confidence"])
    chart = curve.curve(shown["table"], found["crossing"], summary["confidence"]) if found else None
    return {"curves": shown, "curve_chart": chart}


def _ranking(rows: list[dict[str, Any]], summary: dict[str, Any]) -> dict[str, Any]:
    """Leaderboard, story and cost."""
    confidence = summary["confidence"]
    top_5 = rows[0]["test_top5_error"] is not None
    for row in rows:
        row["family"] = catalogue.BY_KEY[row["method"]].family
    failed = {catalogue.BY_KEY[key]: sentence for key, sentence in summary["failed"].items()}
    return {
        "rows": rows,
        "failed": failed,
        "top_5": top_5,
        "story": [story.here(rows, summary["dataset"]), story.ilsvrc()],
        "top_1_chart": errors.errors(rows, 1, confidence),
        "top_5_chart": errors.errors(rows, 5, confidence) if top_5 else None,
        "cost_charts": [cost.cost(rows, by) for by in cost.COSTS],
    }


def _learning() -> dict[str, Any]:
    """Curves, gradients, and errors of SVMs by C."""
    curves = [
        {**row, "epoch": int(row["epoch"]), "error": float(row["error"]), "kept": row["kept"] == "True"}
        for row in _table(layout.PLOTS / "learning_curves.csv")
    ]
    gradients = [
        {**row, "number": int(row["number"]), "gradient": float(row["gradient"])}
        for row in _table(layout.PLOTS / "gradients.csv")
    ]
    tried = [
        {
            **row,
            "value": float(row["value"]),
            "val_error": float(row["val_error"]),
            "chosen": row["chosen"] == "True",
            "era": catalogue.BY_KEY[row["method"]].era,
        }
        for row in _table(layout.TABLES / "tuning.csv")
        if catalogue.BY_KEY[row["method"]].has_svm
    ]
    charts = {
        "learning_chart": learning.curves(curves, _titles()),
        "gradient_chart": learning.gradients(gradients, _titles()),
        "svm_chart": learning.costs_of_errors(tried, _titles()),
    }
    return charts


def _confidence(summary: dict[str, Any], rows: list[dict[str, Any]], shown: list[Result]) -> Confidence:
    """What the probabilities of all methods are worth, and charts of those that the page compares at first."""
    tables = _table(layout.TABLES / "reliability.csv"), _table(layout.PLOTS / "risk_coverage.csv")
    return confidence(summary, rows, shown, *tables)


def _script_data(
    results: list[Result],
    pool: gallery.Pool,
    where: Any,
    classes: list[str],
    curves: dict[str, Any] | None,
    confidence: float,
) -> dict[str, Any]:
    return {
        "methods": [
            {"key": result.method.key, "title": result.method.title, "era": result.method.era} for result in results
        ],
        "colours": ERA_COLOURS,
        "classes": classes,
        "names_in_charts": [chartable(name) for name in classes],
        "pool": pool.as_json(),
        "confusions": where.counts,
        "errors": where.errors,
        "pairs": learning_curves.for_the_script(curves, confidence),
    }


def _titles() -> dict[str, str]:
    return {key: method.title for key, method in catalogue.BY_KEY.items()}


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage evaluate") from error


def _samples(classes: list[str]) -> list[dict[str, str]]:
    """The first training images of each class (of the first SAMPLED_CLASSES classes)."""
    train = load_split("train")
    labels = np.asarray(train.labels)
    samples = []
    for label, name in enumerate(classes[:SAMPLED_CLASSES]):
        chosen = np.flatnonzero(labels == label)[:SAMPLES]
        if len(chosen):
            samples.append({"name": name, "uri": data_uri(row_of(np.asarray(train.images[chosen])))})
    return samples


def _download(path: Path) -> str:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage evaluate") from error
    kind = "application/json" if path.suffix == ".json" else "text/csv"
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text).decode()}"


def _one_line_end(script: str) -> str:
    """With the line ends that a browser makes of all others before it hashes a script."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    """What the page's policy names a script by: no other one in the page runs, however it came there."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that is safe inside a <script> element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
