"""The learning curves of a training, written with DVCLive while it runs, and what happened in its layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.training.loop import Progress

if TYPE_CHECKING:
    from dvclive import Live

CURVES = ("learning_rate", "train_loss", "train_error", "val_loss", "val_error")


class Record:
    """Writes folder/live/ (DVCLive's metrics.json, plots/metrics/*.tsv) after each epoch, statistics.csv at the end.

    DVC deletes a stage's outputs before it runs again. So what a resumed training writes first are all the epochs that
    its checkpoint knows. Where another learning rate has its turn, the curves start anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._live: Live | None = None
        self._written: list[dict[str, float]] = []  # an epoch each

    def __call__(self, progress: Progress) -> None:
        """Write the epochs that are not written yet.

        Raises:
            PipelineError: the disk is full, or the like.
        """
        try:
            self._write(progress)
        except OSError as error:
            raise self._failed(error) from error

    def close(self, progress: Progress) -> None:
        """Write what is left, which epoch was the best, and the layers' statistics.

        Args:
            progress: of the training whose network is kept.

        Raises:
            PipelineError: the disk is full, or the like.
        """
        try:
            self._live = None  # another learning rate may have been tried after the one that is kept
            live = self._write(progress)
            live.summary["best_epoch"] = progress.best_epoch
            live.summary["best_val_error"] = progress.best_error
            live.end()
            pd.DataFrame(progress.layers).to_csv(self._folder / "statistics.csv", index=False)
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, progress: Progress) -> Live:
        live = self._live
        if live is None or progress.history[: len(self._written)] != self._written:
            live, self._written = self._anew(), []
        for row in progress.history[len(self._written) :]:
            live.step = int(row["epoch"])
            for name in CURVES:
                live.log_metric(name, row[name], timestamp=False)
            live.next_step()
        self._live, self._written = live, list(progress.history)
        return live

    def _anew(self) -> Live:
        """Removes what lies there."""
        from dvclive import Live

        return Live(str(self._folder / "live"), save_dvc_exp=False, dvcyaml=None, monitor_system=False)

    def _failed(self, error: OSError) -> PipelineError:
        return PipelineError(
            f"{self._folder}: the learning curves cannot be written ({error.strerror or error}); make room, and run "
            "again: the training goes on where it was"
        )
