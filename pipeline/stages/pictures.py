"""pictures: data/, models/<feature>/ → results/pictures/<feature>/: what a feature sees, for the report."""

from pathlib import Path

import cv2
import numpy as np

from pipeline import layout, settings
from pipeline.data.contract import load_split
from pipeline.features.base import Picture, load_feature
from pipeline.files import atomic, read_arrays, write_json
from pipeline.randomness import generator

IMAGES = 200  # of train


def run(key: str) -> None:
    """Draw what the feature's module has to show; a feature without anything to show leaves an empty list."""
    chosen = settings.load()
    feature, parameters = load_feature(chosen, key)
    codebook = read_arrays(layout.MODELS / key / "codebook.npz", f"codebook@{key}")
    train = load_split("train")
    rows = np.sort(generator(chosen.seed, "pictures").permutation(len(train))[:IMAGES])
    draw = getattr(feature, "pictures", None)
    write_pictures(layout.PICTURES / key, draw(train.images[rows], parameters, codebook) if draw else [])


def write_pictures(folder: Path, pictures: list[Picture]) -> None:
    """Write 0.png, 1.png … and their captions."""
    for number, picture in enumerate(pictures):
        encoded = cv2.imencode(".png", picture.pixels[:, :, ::-1])[1]
        with atomic(folder / f"{number}.png") as file:
            file.write(encoded.tobytes())
    write_json(folder / "captions.json", [picture.caption for picture in pictures])
