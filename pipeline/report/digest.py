"""reports/summary.md: the leaderboard and two charts, for a pull request or a README."""

from __future__ import annotations

from typing import Any

from pipeline import catalogue
from pipeline.evaluation import cross_validated
from pipeline.report.charts.base import Chart
from pipeline.report.seeds import named
from pipeline.report.words import cell, era_name, milliseconds, seconds

CHARTS = "charts"  # the folder beside the file
COLUMNS = ("place", "method", "year", "features", "top-1 error %", "top-5 error %", "training", "an image")
BALANCED = "balanced error %"  # a column where the classes differ in size


def digest(
    summary: dict[str, Any],
    sentences: list[str],
    rows: list[dict[str, Any]],
    failed: dict[str, str],
    charts: list[Chart],
    limits: list[str],
) -> str:
    """Markdown.

    Args:
        summary: metrics.json.
        sentences: the answer.
        rows: of the leaderboard.
        failed: by the titles of methods, why.
        charts: that lie in CHARTS as <key>.svg.
        limits: what the numbers can't say.
    """
    lines = [
        f"# Before and after 2012 on {_plain(summary['dataset'])}",
        "",
        *_paragraphs([_plain(sentence) for sentence in sentences]),
    ]
    skewed = summary["class_sizes"]["skewed"]
    columns = (*COLUMNS[:5], BALANCED, *COLUMNS[5:]) if skewed else COLUMNS
    lines += [_row(columns), _row(["---"] * len(columns))]
    lines += [_row(_cells(row, skewed)) for row in rows]
    lines += [_row(["failed", title, *[""] * (len(columns) - 3), _plain(why)]) for title, why in failed.items()]
    seeds = summary["seeds"]["seeds"] if summary["seeds"] else [summary["seed"]]
    test = "Student's paired t over images and seeds" if len(seeds) > 1 else "McNemar's test"
    places = f"methods that share a place can't be told apart on these images ({test}, Holm-corrected)"
    lines += _curve(summary)
    lines += _folds(summary)
    intervals = "Intervals over test images and seeds are" if len(seeds) > 1 else "Intervals are Wilson's"
    lines += ["", f"{intervals} at {100 * summary['confidence']:.0f} %; {places}.", ""]
    lines += _paragraphs([f"![{_plain(chart.alt)}]({CHARTS}/{chart.key}.svg)" for chart in charts])
    images, of_seeds = summary["images"], f"{'seed' if len(seeds) == 1 else 'seeds'} {named(seeds)}"
    counts = f"{images['train']:,} training, {images['val']:,} val and {images['test']:,} test images"
    lines += [f"{counts} of {summary['classes']} classes; budget {summary['budget']}, {of_seeds}.", ""]
    return "\n".join([*lines, *(f"- {_plain(limit)}" for limit in limits)]) + "\n"


def _curve(summary: dict[str, Any]) -> list[str]:
    """Errors by number of labelled images, a column a method."""
    found = summary["curve"]
    if not found:
        return []
    methods = {key: {row["images"]: row for row in method["rows"]} for key, method in found["methods"].items()}
    columns = ["labelled images", *(f"{_plain(catalogue.BY_KEY[key].title)}, top-1 error %" for key in methods)]
    body = [
        _row([f"{size:,}", *(_error(rows[size], "top1", "") if size in rows else "–" for rows in methods.values())])
        for size in found["sizes"]
    ]
    seeds = "test images and seeds" if found["seeded"] else "test images alone"
    head = f"By the number of labelled images, train and val together (intervals over {seeds}):"
    return ["", head, "", _row(columns), _row(["---"] * len(columns)), *body]


def _folds(summary: dict[str, Any]) -> list[str]:
    """A second table where images were cross-validated."""
    found = summary["cross_validation"]
    if not found:
        return []
    skewed = summary["class_sizes"]["skewed"]
    measures = ("top1", "balanced", "top5") if skewed else ("top1", "top5")
    named = {"top1": "top-1 error %", "balanced": BALANCED, "top5": "top-5 error %"}
    columns = ["place", "method", *(named[measure] for measure in measures)]
    head = f"All {found['images']:,} images, each scored by models that had not seen it ({found['folds']} folds):"
    body = [
        _row([_place(row), _plain(row["title"]), *(_error(row, measure, "") for measure in measures)])
        for row in cross_validated.rows(found)
    ]
    failed = [line for why in found["failed"].values() for line in ("", f"Left out: {_plain(why)}")]
    return ["", head, "", _row(columns), _row(["---"] * len(columns)), *body, *failed]


def on_white(svg: str) -> str:
    """A chart's SVG on a ground of its own, for pages that may be dark."""
    head, rest = svg.split(">", 1)
    return f'{head}><rect width="100%" height="100%" fill="#ffffff"/>{rest}\n'


def _cells(row: dict[str, Any], skewed: bool) -> list[str]:
    return [
        _place(row),
        row["title"],
        str(row["year"]),
        era_name(row["era"]),
        _error(row, "top1"),
        *([_error(row, "balanced")] if skewed else []),
        _error(row, "top5"),
        seconds(row["training_seconds"]),
        milliseconds(row["prediction_ms"]),
    ]


def _place(row: dict[str, Any]) -> str:
    first, last = row["first_place"], row["last_place"]
    if first is None:
        return "saw these images"
    return str(first) if first == last else f"{first}–{last}"


def _error(row: dict[str, Any], measure: str, split: str = "test_") -> str:
    error, low, high = (row[f"{split}{measure}_{name}"] for name in ("error", "low", "high"))
    return "–" if error is None else f"{cell(error)} ({cell(low)}–{cell(high)})"


def _paragraphs(texts: list[str]) -> list[str]:
    return [line for text in texts for line in (text, "")]


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that neither breaks a table nor becomes markup."""
    for mark in "\\`*_{}[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
