"""evaluate: results/ → reports/metrics.json, reports/tables/, reports/plots/."""

import shutil

from pipeline import layout, settings
from pipeline.evaluation import confidence, cross_validated, robustness, tables
from pipeline.evaluation.curves import rows as curves
from pipeline.evaluation.environment import environment
from pipeline.evaluation.results import load
from pipeline.evaluation.summary import by_seed, headline, leaderboard, summarise
from pipeline.files import write_csv, write_json

LEADERBOARD = (
    "method title year era test_top1_error test_top1_low test_top1_high test_top5_error test_top5_low test_top5_high "
    "test_balanced_error test_balanced_low test_balanced_high val_top1_error val_top1_low val_top1_high "
    "val_top5_error val_top5_low val_top5_high val_balanced_error val_balanced_low val_balanced_high first_place "
    "last_place tied_with_best ece answered_at_0.9 training_seconds prediction_ms megabytes parameters multiply_adds "
    "device precision threads views"
).split()
ERRORS = (
    "method title year era test_top1_error test_top1_low test_top1_high test_top5_error training_seconds prediction_ms"
).split()
SEEDS = ["method", "seed", "test_top1_error", "test_top5_error", "val_top1_error", "training_seconds"]


def run() -> None:
    """Errors with intervals, per class, costs, curves; as JSON for `dvc metrics` and CSV for `dvc plots`.

    A method whose files can't be used is named in metrics.json under `failed`; all others are evaluated.
    """
    chosen = settings.load()
    outcome = load(chosen)
    confidences = confidence.of_all(outcome, chosen.evaluation.confidence)
    summary = summarise(chosen, outcome, confidences)
    rows = leaderboard(summary)
    for folder in (layout.TABLES, layout.PLOTS):
        shutil.rmtree(folder, ignore_errors=True)
    write = write_csv
    write(layout.TABLES / "leaderboard.csv", rows, LEADERBOARD)
    write(layout.TABLES / "per_class.csv", tables.per_class(outcome), ["method", "class", "error"])
    write(
        layout.TABLES / "tuning.csv",
        tables.tuning(outcome.results),
        ["method", "candidate", "value", "val_error", "chosen"],
    )
    write(
        layout.TABLES / "reliability.csv",
        tables.reliability(confidences),
        ["method", "start", "end", "images", "confidence", "accuracy", "low", "high"],
    )
    if summary["cross_validation"]:
        found = cross_validated.rows(summary["cross_validation"])
        write(layout.TABLES / "cross_validation.csv", found, cross_validated.COLUMNS)
    if summary["curve"]:
        write(layout.TABLES / "curve.csv", curves.table(summary["curve"]), curves.COLUMNS)
    if summary["robustness"]:
        write(layout.TABLES / "robustness.csv", robustness.table(summary["robustness"]), robustness.COLUMNS)
    if summary["seeds"]:
        write(layout.TABLES / "seeds.csv", by_seed(summary), SEEDS)
    write_json(layout.TABLES / "environment.json", environment())
    write(layout.PLOTS / "errors.csv", [{name: row[name] for name in ERRORS} for row in rows], ERRORS)
    write(layout.PLOTS / "confusion.csv", tables.guesses(outcome, str(rows[0]["method"])), ["actual", "predicted"])
    write(
        layout.PLOTS / "learning_curves.csv",
        tables.learning_curves(outcome.results),
        ["network", "split", "epoch", "error", "kept"],
    )
    write(
        layout.PLOTS / "gradients.csv",
        tables.gradients(outcome.results),
        ["network", "when", "epoch", "number", "layer", "depth", "gradient"],
    )
    write(
        layout.PLOTS / "risk_coverage.csv",
        tables.risk_coverage(confidences),
        ["method", "threshold", "answered", "error"],
    )
    write_json(layout.ERRORS, headline(summary))
    write_json(layout.METRICS, summary)
