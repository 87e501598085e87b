"""The learning curves of a finished training, written with DVCLive, and what happened in its layers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.training.loop import Progress

CURVES = ("learning_rate", "train_loss", "train_error", "val_loss", "val_error")


def record(folder: Path, progress: Progress) -> None:
    """Write folder/live/ (DVCLive's metrics.json and plots/metrics/*.tsv), one step an epoch, and statistics.csv.

    It is written at the end and not on the way, because DVC deletes a stage's outputs before it runs again: the curve
    of a resumed run would begin in the middle. On the way the checkpoint keeps the history.

    Raises:
        PipelineError: the disk is full, or the like.
    """
    try:
        _write(folder, progress)
    except OSError as error:
        raise PipelineError(
            f"{folder}: the learning curves cannot be written ({error.strerror or error}); make room, and run again: "
            "the training goes on where it was"
        ) from error


def _write(folder: Path, progress: Progress) -> None:
    from dvclive import Live

    with Live(str(folder / "live"), save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
        for row in progress.history:
            live.step = int(row["epoch"])
            for name in CURVES:
                live.log_metric(name, row[name], timestamp=False)
        live.summary["best_epoch"] = progress.best_epoch
        live.summary["best_val_error"] = progress.best_error
    pd.DataFrame(progress.layers).to_csv(folder / "statistics.csv", index=False)
