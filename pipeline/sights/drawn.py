"""Pictures in a folder: 0.png, 1.png … and their captions."""

from __future__ import annotations

from pathlib import Path

import cv2

from pipeline.descriptors.drawing import Picture
from pipeline.files import atomic, write_json


def write_pictures(folder: Path, pictures: list[Picture]) -> None:
    """Write them; no picture is an empty list of captions."""
    for number, picture in enumerate(pictures):
        encoded = cv2.imencode(".png", picture.pixels[:, :, ::-1])[1]
        with atomic(folder / f"{number}.png") as file:
            file.write(encoded.tobytes())
    write_json(folder / "captions.json", [picture.caption for picture in pictures])
