"""A sheet of examples, a row a class.

python -m pipeline.data.sources.objects.contact_sheet FILE.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from pipeline import settings
from pipeline.data.sources.objects.scene import NAMES, render
from pipeline.settings import Objects

COLUMNS = 8
MARGIN = 74


def contact_sheet(dataset: Objects, seed: int) -> np.ndarray:
    """All classes in two columns of rows, COLUMNS examples each; uint8 RGB."""
    size = dataset.image_size
    rows = []
    for label, name in enumerate(NAMES):
        examples = [
            render(label, np.random.default_rng([seed, label, column]), size, dataset.dials)
            for column in range(COLUMNS)
        ]
        caption = np.full((size, MARGIN, 3), 255, np.uint8)
        cv2.putText(caption, name, (4, size // 2 + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (30, 30, 30), 1, cv2.LINE_AA)
        rows.append(np.hstack([caption, *examples]))
    half = (len(rows) + 1) // 2
    return np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])


def main() -> None:
    """Write the sheet of the data set `objects` of params.yaml."""
    chosen = settings.load()
    dataset = chosen.datasets["objects"]
    assert isinstance(dataset, Objects)
    sheet = contact_sheet(dataset, chosen.seed)
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(sys.argv[1], cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
