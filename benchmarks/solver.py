"""How much memory the SVMs of all of ILSVRC would take: measured at small sizes, one axis at a time, and drawn on.

Each run is a process of its own that solves random codes' SVMs for one Newton step, and scores some vectors, as the
stage `svm` does at every step. Counted is memory that is the process's own: mapped files may leave it at any time. So
many classes take a step together as a fixed number of bytes holds, here a tenth of what the solver allows itself, since
fewer would make the runs too long; the rest of that is added at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import Row
from benchmarks.project import ROOT
from pipeline.classifiers.linear_svm import TOGETHER

CLASSES, IMAGES, NUMBERS = 1000, 1_281_167, 524_288  # of ILSVRC at the size of the paper
#: Classes, images, numbers of a vector.
SIZES = (
    (1000, 500, 32_768),
    (1000, 500, 65_536),
    (1000, 500, 131_072),
    (500, 500, 131_072),
    (1000, 500, 262_144),
    (1000, 8_000, 4_096),
    (1000, 32_000, 4_096),
)
PART = TOGETHER // 10
ALLOWED = 12.0  # GiB

SCRIPT = """
import json, sys, threading
from pathlib import Path
import numpy as np
from pipeline.classifiers import linear_svm
from pipeline.classifiers.linear_svm import Solver
from pipeline.classifiers.selection import Selection
from pipeline.classifiers.vectors import Coded, Dense, Scaling
from pipeline import room

classes, images, numbers, part = map(int, sys.argv[1:])
linear_svm.TOGETHER = part
room.IN_MEMORY = 1 << 20  # at the full size all that is known of all classes lies on disk
rng = np.random.default_rng(0)
np.save("codes.npy", rng.integers(0, 256, (images, numbers // 8), dtype=np.uint8))
train = Coded(np.load("codes.npy", mmap_mode="r"), rng.standard_normal((numbers // 8, 256, 8), dtype=np.float32))
val = Coded(train.codes[:64], train.centroids)
labels = np.arange(images) % classes

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 2**20

peak, over = own(), threading.Event()
def watch():
    global peak
    while not over.wait(0.02):
        peak = max(peak, own())

watching = threading.Thread(target=watch)
watching.start()
selection = Selection(lambda model: float(model.scores(val, workers=2)[0, 0]), 9)
selection.begin("one")
Solver(train, labels, classes, Scaling.of(train, 2), workers=2).solve(1.0, max_steps=1, go_on=selection.look)
over.set()
watching.join()
print(json.dumps(peak))
"""


def run(data_root: Path) -> list[Row]:
    found = np.array([_peak(*size) for size in SIZES])
    sizes = np.array(SIZES, float)
    terms = np.stack([np.ones(len(sizes)), sizes[:, 0] * sizes[:, 2], sizes[:, 2], sizes[:, 1]], axis=1)
    scale = terms.max(axis=0)  # so that all are of one order
    by_term = np.linalg.lstsq(terms / scale, found, rcond=None)[0] / scale
    fitted = terms @ by_term
    whole = float(by_term @ [1, CLASSES * NUMBERS, NUMBERS, IMAGES]) + (TOGETHER - PART) / 2**30
    rows = [
        Row(f"solver, {classes:,} classes × {images:,} images × {numbers:,} numbers: own memory", peak, None, "", "GiB",
            None)
        for (classes, images, numbers), peak in zip(SIZES, found.tolist(), strict=True)
    ]  # fmt: skip
    off = 100 * float(np.abs(fitted - found).max() / found.max())
    return [
        *rows,
        Row("solver: the farthest that a size lies from the line, of the largest", off, None, "", "%", None),
        Row("solver, ILSVRC: own memory, drawn on from these", whole, ALLOWED, "allowed", "GiB", 1),
    ]


def _peak(*size: int) -> float:
    """GiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SCRIPT, *(str(number) for number in (*size, PART))]
        path = {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, env=os.environ | path, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))
