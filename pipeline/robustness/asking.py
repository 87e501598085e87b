"""Models, images and changes of a run, and what is known already of what the models say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline import layout
from pipeline.data.contract import load_split
from pipeline.device import pick_device
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.models.folder import Stored
from pipeline.models.model import Advance
from pipeline.prediction.choosing import load_all
from pipeline.robustness.change import Change, Layers
from pipeline.robustness.changes import changes
from pipeline.robustness.kept import Kept
from pipeline.robustness.layers import layers_of
from pipeline.robustness.measuring import Answers, Condition, fitting, show
from pipeline.robustness.sample import Sample
from pipeline.settings import Settings


@dataclass(frozen=True)
class Asking:
    """Who is asked, about which images, and where answers are kept until all are there.

    Attributes:
        stored: every fitted model of the run.
        changes: those that are wanted and that the images can bear.
        left_out: the others, and why.
    """

    stored: Mapping[str, Stored]
    sample: Sample
    changes: list[Change]
    left_out: dict[str, str]
    kept: Kept

    @staticmethod
    def of(chosen: Settings, manifest: dict[str, Any]) -> Asking:
        """As params.yaml and models/ have it."""
        wanted = chosen.robustness
        there = [key for key in chosen.selected if not (layout.model_of(key) / UNAVAILABLE).is_file()]
        stored = load_all(layout.MODELS, there, chosen.compute)
        side = min(manifest["image_shape"][:2])
        known = changes(side)
        sample = Sample.of(load_split("test"), wanted.sample, chosen.seed, manifest["grey"])
        layers: list[Layers] | str = ""
        if any(one.layers and {one.key, one.reason} & set(wanted.changes) for one in known.values()):
            layers = layers_of(chosen, sample.images, sample.names)
        if isinstance(layers, list):
            sample = replace(sample, layers=layers)
        company = len(set(sample.labels.tolist())) > 1
        unknown = layers if isinstance(layers, str) else ""
        kinds, left_out = fitting(known, wanted.changes, side, manifest["grey"], company, unknown)
        return Asking(stored, sample, kinds, left_out, Kept.of(stored, sample, pick_device(chosen.compute.device).type))

    def shown(self, condition: Condition, workers: int, advance: Advance) -> dict[str, Answers]:
        """What every method says after a change: as it is kept, or asked now and kept.

        Args:
            workers: threads that change images.
            advance: called with the number of images done.
        """
        found = self.kept.read(condition, list(self.stored))
        if found is not None:
            advance(len(self.sample.labels))
            return found
        answers = show(self.stored, self.sample, condition, workers, advance)
        self.kept.write(condition, answers)
        return answers
