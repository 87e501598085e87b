"""Fisher vectors of 1,000 to 64,000 images of 256×256: seconds should grow with the images, memory should not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import Row
from benchmarks.project import ROOT

COUNTS = (1_000, 4_000, 16_000, 64_000)

#: In a process of its own, so that its memory is its own: encodes crops of a photograph, shard by shard.
SCRIPT = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np, skimage.data
from pipeline.features import sift_fv
from pipeline.context import Context
from pipeline.features.extraction import Shards

photograph = np.tile(skimage.data.astronaut(), (2, 2, 1))
offsets = np.random.default_rng(0).integers(0, 512, (64_000, 2))
crops = lambda part: np.stack([photograph[y : y + 256, x : x + 256] for y, x in offsets[part]])
settings = sift_fv.Settings.model_validate(dict(
    bin_sizes=[8], step=8, window="flat", norm="root", dimensions=32, whiten=False, place=1.0, gaussians=16,
    iterations=3, sample=20_000, regions=["1x1"], quantization=None))
context = Context(0, 2)
codebook = sift_fv.fit(crops(slice(0, 200)), settings, context)
count, peak = int(sys.argv[1]), 0

def memory():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 2**10

def advance(done):
    global peak
    peak = max(peak, memory())

with tempfile.TemporaryDirectory() as folder:
    started = time.perf_counter()
    vectors = lambda part: sift_fv.transform(crops(part), settings, codebook, context)
    Shards(Path(folder)).write("x", vectors, count, advance)
    print(json.dumps([time.perf_counter() - started, peak]))
"""


def run(data_root: Path) -> list[Row]:
    found = {}
    for count in COUNTS:
        command = [sys.executable, "-c", SCRIPT, str(count)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found[count] = json.loads(done.stdout)
    seconds, memory = np.array([found[count] for count in COUNTS]).T
    slope = float(np.polyfit(np.log(COUNTS), np.log(seconds), 1)[0])
    name = "scaling, Fisher vectors of 256×256"
    return [
        *(
            Row(f"{name}, {count:,} images", value, None, "", "s", None)
            for count, value in zip(COUNTS, seconds, strict=True)
        ),
        Row(f"{name}, exponent of the time", slope, 1.05, "linear, with 5 % to spare", "", 1),
        Row(
            f"{name}, memory of 64,000",
            float(memory[-1]),
            1.1 * float(memory[1]),
            "4,000, with 10 % to spare",
            "MiB",
            1,
        ),
    ]
