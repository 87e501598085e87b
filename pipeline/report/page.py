"""reports/index.html: one file that needs no network, written from files alone."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from pipeline import catalogue, layout
from pipeline.data.contract import Split, load_split
from pipeline.evaluation import metrics
from pipeline.evaluation.summary import Result, leaderboard, learning_curves
from pipeline.files import atomic, read_json
from pipeline.report import charts
from pipeline.report.answer import answer, best_of, seconds, tenths
from pipeline.report.gallery import rooms
from pipeline.report.networks import ablations, drawn
from pipeline.report.pictures import data_uri, row_of
from pipeline.report.sights import sights
from pipeline.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
HEATMAP_UP_TO = 50  # classes
SAMPLES = 10  # images of each class in the data card
SAMPLED_CLASSES = 30
PAIRS = 8
LISTED = 20


def write_page(
    settings: Settings,
    summary: dict[str, Any],
    manifest: dict[str, Any],
    splits: dict[str, Split],
    results: list[Result],
    target: Path,
) -> None:
    """Build the page and write it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"seconds": seconds, "number": _number, "cell": _cell}
    page = environment.get_template("page.html").render(
        _content(settings, summary, manifest, splits, results)
        | {"style": (TEMPLATES / "style.css").read_text(encoding="utf-8")}
        | {"script": (TEMPLATES / "script.js").read_text(encoding="utf-8")}
    )
    with atomic(target, "w") as file:
        file.write(page)


def _content(
    settings: Settings,
    summary: dict[str, Any],
    manifest: dict[str, Any],
    splits: dict[str, Split],
    results: list[Result],
) -> dict[str, Any]:
    classes = manifest["classes"]
    test = splits["test"]
    rows = leaderboard(summary)
    networks = drawn(results)
    old, new = (best_of(results, summary, era) for era in ("hand-crafted", "learned"))
    top_5 = rows[0]["test_top5_error"] is not None
    titles = {key: method.title for key, method in catalogue.BY_KEY.items()}
    return {
        "summary": summary,
        "manifest": manifest,
        "answer": answer(summary, results, test.labels),
        "rows": rows,
        "eras": {era: [row for row in rows if row["era"] == era] for era in charts.ERA_COLOURS},
        "top_5": top_5,
        "top_1_chart": charts.errors(rows, 1, summary["confidence"]),
        "top_5_chart": charts.errors(rows, 5, summary["confidence"]) if top_5 else None,
        "cost_chart": charts.cost(rows),
        "learning_chart": charts.learning_curves(learning_curves(results), titles),
        "confusions": _confusions([result for result in (old, new) if result is not None], test, classes),
        "pairs": _confused_pairs(results, test, classes),
        "rooms": rooms(test, classes, old, new, settings.evaluation.gallery),
        "tuning": [
            {"title": titles[row["method"]], **row, "chosen": row["chosen"] == "True"} for row in _table("tuning")
        ],
        "sights": sights(results),
        "networks": list(networks.values()),
        "variants": {key: network.variant for key, network in networks.items()},
        "ablations": ablations(settings),
        "methods": [result.method for result in results],
        "samples": _samples(classes),
        "environment": read_json(layout.TABLES / "environment.json", "evaluate"),
        "params": Path(settings.path).read_text(encoding="utf-8"),
        "listed": LISTED,
        "vega": charts.vega_script(),
        "limits": _limits(summary, manifest),
    }


def _table(name: str) -> list[dict[str, str]]:
    with open(layout.TABLES / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _confusions(results: list[Result], test: Split, classes: list[str]) -> list[charts.Chart]:
    if len(classes) > HEATMAP_UP_TO:
        return []
    return [
        charts.confusion(
            result.method.key,
            result.method.title,
            metrics.confusion(result.scores["test"], test.labels, len(classes)),
            classes,
        )
        for result in results
    ]


def _confused_pairs(results: list[Result], test: Split, classes: list[str]) -> list[dict[str, Any]]:
    """For each method the pairs of classes most often taken for each other."""
    tables = []
    for result in results:
        counts = metrics.confusion(result.scores["test"], test.labels, len(classes))
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:PAIRS]
        pairs = [(*np.unravel_index(flat, counts.shape), int(counts.flat[flat])) for flat in order]
        listed = [
            {"truth": classes[truth], "guess": classes[guess], "images": images}
            for truth, guess, images in pairs
            if images
        ]
        tables.append({"title": result.method.title, "pairs": listed})
    return tables


def _samples(classes: list[str]) -> list[dict[str, str]]:
    """The first training images of each class (of the first SAMPLED_CLASSES classes)."""
    train = load_split("train")
    labels = np.asarray(train.labels)
    samples = []
    for label, name in enumerate(classes[:SAMPLED_CLASSES]):
        chosen = np.flatnonzero(labels == label)[:SAMPLES]
        samples.append({"name": name, "uri": data_uri(row_of(np.asarray(train.images[chosen])))})
    return samples


def _limits(summary: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """What the numbers can't say."""
    limits = list(manifest["notes"])
    limits.append(
        f"One run with one seed ({summary['seed']}): the intervals cover the choice of test images, not the luck of "
        "training."
    )
    if summary["images"]["test"] < 2000:
        limits.append(f"The test set is small ({summary['images']['test']} images), so the intervals are wide.")
    if summary["budget"] == "demo":
        limits.append(
            "Budget `demo`: small vocabularies, narrow networks, short training. It shows how the comparison works; "
            "`standard` and `paper` are for conclusions."
        )
    return limits


def _number(value: Any) -> str:
    """A count for a reader: 1,234 or 5.9 M."""
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:,}"


def _cell(value: Any) -> str:
    return "–" if value is None else tenths(value)
