"""kernels: results/cnn/<network>/ → results/kernels/<network>/: what a trained network sees, for the report.

A stage of its own, so that a change to a picture trains nothing again.
"""

import shutil

import numpy as np

from pipeline import layout
from pipeline.data.contract import load_split
from pipeline.networks.sights import network_pictures
from pipeline.stages.pictures import write_pictures
from pipeline.training.stored import load


def run(key: str) -> None:
    """Draw the first kernels and the maps of some images of val."""
    stored = load(layout.results_of("network", key))
    val = load_split("val")
    # Images of different classes, which lie in the order of their draw.
    chosen = [int(np.flatnonzero(val.labels == label)[0]) for label in np.unique(val.labels)[:3]]
    folder = layout.RESULTS / "kernels" / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_pictures(folder, network_pictures(stored, np.asarray(val.images[chosen])))
