"""What was found under each change, in a file each, so that a killed run goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.sources import objects
from pipeline.errors import PipelineError
from pipeline.files import read_arrays, write_arrays
from pipeline.models.folder import Stored
from pipeline.robustness.measuring import CLEAN, Answers, Condition
from pipeline.robustness.sample import Sample
from pipeline.workfolder import work_folder

PACKAGE = Path(__file__).parents[1]
#: What scores of a fitted model depend on, beside its arrays.
CODE = ("classifiers", "descriptors", "encoding", "features", "models", "networks", "pretrained", "training")
STEP = "robustness"


@dataclass(frozen=True)
class Kept:
    """A folder of this sample and these models alone."""

    folder: Path

    @staticmethod
    def of(stored: Mapping[str, Stored], sample: Sample, device: str) -> Kept:
        """Another one for whatever leads to other scores.

        Args:
            device: where models compute.
        """
        code = [
            Path(__file__).parent,
            PACKAGE / "randomness.py",
            PACKAGE / "evaluation" / "calibration.py",
            Path(objects.__file__).parent,
        ]
        models = {
            key: [{name: file.blake2b for name, file in one.card.files.items()}, one.card.calibration]
            for key, one in stored.items()
        }
        return Kept(
            work_folder(
                STEP,
                [*code, *(PACKAGE / name for name in CODE)],
                models=models,
                sample=sample.fingerprint(),
                device=device,
            )
        )

    def read(self, condition: Condition, methods: list[str]) -> dict[str, Answers] | None:
        """What was found; None where that is not known yet, or the file is damaged."""
        try:
            found = read_arrays(self.path(condition), STEP)
            return {
                key: Answers(found[f"{key}/guesses"], found[f"{key}/places"], float(found[f"{key}/confidence"]))
                for key in methods
            }
        except (PipelineError, KeyError):
            return None

    def write(self, condition: Condition, answers: Mapping[str, Answers]) -> None:
        """Keep what was found, whole or not at all."""
        arrays: dict[str, np.ndarray] = {}
        for key, said in answers.items():
            arrays |= {f"{key}/guesses": said.guesses, f"{key}/places": said.places}
            arrays[f"{key}/confidence"] = np.array(said.confidence)
        write_arrays(self.path(condition), **arrays)

    def path(self, condition: Condition) -> Path:
        """Where it lies."""
        change, severity = condition
        return self.folder / f"{CLEAN if change is None else change.key}-{severity}.npz"

    def forget(self) -> None:
        """Remove it, and what runs with other models or images left."""
        for other in self.folder.parent.glob(f"{STEP}-*"):
            shutil.rmtree(other, ignore_errors=True)
