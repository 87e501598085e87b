"""What each method sees: the pictures that its stages drew."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation.summary import Result
from pipeline.files import read_json
from pipeline.report.pictures import data_uri


@dataclass(frozen=True)
class Sight:
    """A picture on the page."""

    title: str
    caption: str
    uri: str
    width: int


def sights(results: list[Result]) -> list[Sight]:
    """The pictures of all methods that have some, in the order of the results."""
    found = []
    for result in results:
        key, family = result.method.key, result.method.family
        if family == "fusion":
            continue
        folder, stage = {
            "feature": (layout.PICTURES / key, f"pictures@{key}"),
            "matcher": (result.folder, f"match@{key}"),
            "network": (layout.RESULTS / "kernels" / key, f"kernels@{key}"),
        }[family]
        for number, caption in enumerate(read_json(folder / "captions.json", stage)):
            pixels = cv2.imread(str(folder / f"{number}.png"), cv2.IMREAD_COLOR)
            if pixels is None:
                raise PipelineError(f"{folder}/{number}.png: cannot be read; rerun the stage {stage}")
            found.append(Sight(result.method.title, caption, data_uri(pixels[:, :, ::-1]), pixels.shape[1]))
    return found
