"""What each method sees: the pictures that its stages drew."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation.results import Result
from pipeline.files import read_json
from pipeline.report.faults import Faults
from pipeline.report.pictures import data_uri


@dataclass(frozen=True)
class Sight:
    """A picture on the page."""

    caption: str
    uri: str
    width: int


@dataclass(frozen=True)
class Seen:
    """All pictures of one method."""

    title: str
    sights: list[Sight]


def sights(results: list[Result], faults: Faults) -> list[Seen]:
    """The pictures of all methods that have some, in the order of the results."""
    found = []
    for result in results:
        if result.method.family != "fusion":
            with faults.noted():
                found.append(Seen(result.method.title, _of(result)))
    return [seen for seen in found if seen.sights]


def _of(result: Result) -> list[Sight]:
    key = result.method.key
    folder, stage = {
        "feature": (layout.PICTURES / key, f"pictures@{key}"),
        "matcher": (result.folder, f"match@{key}"),
        "network": (layout.RESULTS / "kernels" / key, f"kernels@{key}"),
        "pretrained": (result.folder, result.stage),
        "fine_tuned": (result.folder, result.stage),
    }[result.method.family]
    found = []
    for number, caption in enumerate(read_json(folder / "captions.json", stage)):
        pixels = cv2.imread(str(folder / f"{number}.png"), cv2.IMREAD_COLOR)
        if pixels is None:
            raise PipelineError(f"{folder}/{number}.png: cannot be read; rerun the stage {stage}")
        found.append(Sight(caption, data_uri(pixels[:, :, ::-1]), pixels.shape[1]))
    return found
