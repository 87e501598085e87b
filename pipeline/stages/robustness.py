"""robustness: models/ → results/robustness/: how every fitted model fares on changed test images.

measured.json  the changes, those left out, and counts of every method and condition
wrong.npz      of each method uint8, packed bits (conditions, n): which images of the sample it gets wrong
example.npz    one image under every change: images uint8 (changes, H, W, 3), and each method's guesses
"""

import shutil
from dataclasses import asdict, replace

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.files import write_arrays, write_json
from pipeline.prediction.choosing import load_all
from pipeline.robustness.change import Change
from pipeline.robustness.changes import changes
from pipeline.robustness.layers import layers_of
from pipeline.robustness.measuring import Measured, Sample, conditions, fitting, measure


def run() -> None:
    """Score the sample after each change; models are as they were fitted, and nothing is chosen here."""
    chosen, manifest = settings.load(), load_manifest()
    wanted = chosen.robustness
    shutil.rmtree(layout.ROBUSTNESS, ignore_errors=True)
    if not wanted.sample:
        write_json(layout.ROBUSTNESS / "measured.json", None)
        return
    there = [key for key in chosen.selected if not (layout.model_of(key) / UNAVAILABLE).is_file()]
    stored = load_all(layout.MODELS, there, chosen.compute)
    side = min(manifest["image_shape"][:2])
    sample = Sample.of(load_split("test"), wanted.sample, chosen.seed, manifest["grey"])
    company = len(set(sample.labels.tolist())) > 1
    sample = replace(sample, layers=layers_of(chosen, sample.images, sample.names))
    known = sample.layers is not None
    kinds, left_out = fitting(changes(side), wanted.changes, side, manifest["grey"], company, known)
    for key, why in left_out.items():
        progress.say(f"robustness: left out: {key} {why}")
    asked = list(conditions(kinds, wanted.severities))
    workers = chosen.compute.worker_count
    with progress.bar("robustness", len(sample.labels) * len(asked)) as bar:
        found = measure(stored, sample, kinds, wanted.severities, workers, bar.advance)
    _write_example(sample, asked, found, workers)
    write_arrays(layout.ROBUSTNESS / "wrong.npz", **{key: np.packbits(one, axis=1) for key, one in found.wrong.items()})
    described = [{"key": one.key, "title": one.title, "reason": one.reason, "named": list(one.named)} for one in kinds]
    counts = [asdict(count) for count in found.counts]
    told = {
        "images": len(sample.labels),
        "fingerprint": manifest["splits"]["test"]["fingerprint"],
        "changes": described,
        "left_out": left_out,
    }
    write_json(layout.ROBUSTNESS / "measured.json", told | {"counts": counts})


def _write_example(sample: Sample, asked: list[tuple[Change | None, int]], found: Measured, workers: int) -> None:
    """The image that most methods know when it is as it was, after each change at its middle severity."""
    right = sum((~wrong[0]).astype(int) for wrong in found.wrong.values())
    row = int(np.argmax(right))
    images, places, names = [sample.images[row]], [0], [""]
    for key in dict.fromkeys(change.key for change, _ in asked if change is not None):
        own = [number for number, (change, _) in enumerate(asked) if change is not None and change.key == key]
        places.append(own[len(own) // 2])
        names.append(key)
        change, severity = asked[places[-1]]
        assert change is not None
        images.append(sample.changed(change, severity, slice(row, row + 1), workers)[0])
    guesses = {f"guess-{key}": one[places, row] for key, one in found.guesses.items()}
    write_arrays(
        layout.ROBUSTNESS / "example.npz",
        images=np.stack(images),
        changes=np.array(names),
        severities=np.array([asked[place][1] for place in places]),
        label=np.array(sample.labels[row]),
        **guesses,
    )
