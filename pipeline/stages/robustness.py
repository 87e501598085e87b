"""robustness: models/ → results/robustness/: how every fitted model fares on changed test images.

measured.json  the changes, those left out, and counts of every method and condition
wrong.npz      of each method uint8, packed bits (conditions, n): which images of the sample it gets wrong
example.npz    one image under every change: images uint8 (changes, H, W, 3), and each method's guesses
"""

import shutil
from dataclasses import asdict

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import load_manifest
from pipeline.files import write_arrays, write_json
from pipeline.robustness.asking import Asking
from pipeline.robustness.measuring import Condition, Measured, conditions, counted
from pipeline.robustness.sample import Sample


def run() -> None:
    """Score the sample after each change; models are as they were fitted, and nothing is chosen here.

    A killed run goes on after the last change that it had shown to all of them.
    """
    chosen, manifest = settings.load(), load_manifest()
    wanted = chosen.robustness
    shutil.rmtree(layout.ROBUSTNESS, ignore_errors=True)
    if not wanted.sample:
        write_json(layout.ROBUSTNESS / "measured.json", None)
        return
    asking = Asking.of(chosen, manifest)
    for key, why in asking.left_out.items():
        progress.say(f"robustness: left out: {key} {why}")
    sample, kinds = asking.sample, asking.changes
    asked = list(conditions(kinds, wanted.severities))
    if chosen.compute.backend == "dask":
        from pipeline.cluster.spread import show_side_by_side

        show_side_by_side(chosen.compute, asking, asked)
    workers = chosen.compute.worker_count
    with progress.bar("robustness", len(sample.labels) * len(asked)) as bar:
        shown = [asking.shown(condition, workers, bar.advance) for condition in asked]
    found = counted(asked, shown, len(manifest["classes"]))
    _write_example(sample, asked, found, workers)
    write_arrays(layout.ROBUSTNESS / "wrong.npz", **{key: np.packbits(one, axis=1) for key, one in found.wrong.items()})
    described = [{"key": one.key, "title": one.title, "reason": one.reason, "named": list(one.named)} for one in kinds]
    counts = [asdict(count) for count in found.counts]
    told = {
        "images": len(sample.labels),
        "fingerprint": manifest["splits"]["test"]["fingerprint"],
        "changes": described,
        "left_out": asking.left_out,
    }
    write_json(layout.ROBUSTNESS / "measured.json", told | {"counts": counts})
    asking.kept.forget()


def _write_example(sample: Sample, asked: list[Condition], found: Measured, workers: int) -> None:
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
