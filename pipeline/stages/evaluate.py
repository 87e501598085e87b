"""evaluate: results/ → reports/metrics.json, reports/tables/, reports/plots/."""

import shutil

from pipeline import layout, settings
from pipeline.evaluation import summary
from pipeline.evaluation.environment import environment
from pipeline.files import write_json

LEADERBOARD = (
    "method title year era test_top1_error test_top1_low test_top1_high test_top5_error test_top5_low test_top5_high "
    "val_top1_error val_top1_low val_top1_high val_top5_error val_top5_low val_top5_high tied_with_best "
    "training_seconds prediction_ms megabytes parameters multiply_adds device precision threads views"
).split()


def run() -> None:
    """Errors with intervals, per class, costs, curves; as JSON for `dvc metrics` and CSV for `dvc plots`."""
    chosen = settings.load()
    manifest, splits, results = summary.load(chosen)
    labels = splits["test"].labels
    metrics = summary.summarise(chosen, manifest, splits, results)
    rows = summary.leaderboard(metrics)
    for folder in (layout.TABLES, layout.PLOTS):
        shutil.rmtree(folder, ignore_errors=True)
    tables, plots = layout.TABLES, layout.PLOTS
    summary.write_csv(tables / "leaderboard.csv", rows, LEADERBOARD)
    summary.write_csv(
        tables / "per_class.csv", summary.per_class(manifest, labels, results), ["method", "class", "error"]
    )
    summary.write_csv(
        tables / "tuning.csv", summary.tuning_rows(results), ["method", "candidate", "val_error", "chosen"]
    )
    write_json(tables / "environment.json", environment())
    errors = ["method", "title", "year", "era", "test_top1_error", "test_top1_low", "test_top1_high", "test_top5_error"]
    summary.write_csv(plots / "errors.csv", [{name: row[name] for name in errors} for row in rows], errors)
    summary.write_csv(plots / "confusion.csv", summary.guesses(manifest, labels, results), ["actual", "predicted"])
    curves = ["network", "split", "epoch", "error", "kept"]
    summary.write_csv(plots / "learning_curves.csv", summary.learning_curves(results), curves)
    write_json(layout.METRICS, metrics)
