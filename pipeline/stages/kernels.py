"""kernels: models/<network>/ → results/kernels/<network>/: what a trained network sees, for the report.

A stage of its own, so that a change to a picture trains nothing again.
"""

import shutil

import numpy as np

from pipeline import layout, settings
from pipeline.data.contract import load_split
from pipeline.models.folder import load
from pipeline.models.network import Network
from pipeline.sights.drawn import write_pictures
from pipeline.sights.networks import network_pictures


def run(key: str) -> None:
    """Draw the first kernels and the maps of some images of val."""
    chosen = settings.load()
    chosen.network(key)  # a wrong name is told as such
    model = load(layout.model_of(key), chosen.compute).model
    assert isinstance(model, Network)
    val = load_split("val")
    # Images of different classes, which lie in the order of their draw.
    rows = [int(np.flatnonzero(val.labels == label)[0]) for label in np.unique(val.labels)[:3]]
    folder = layout.RESULTS / "kernels" / key
    shutil.rmtree(folder, ignore_errors=True)
    write_pictures(folder, network_pictures(model, np.asarray(val.images[rows])))
