"""Data and results as the stages would leave them, from scores that nobody computed: for the report's own costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from pipeline import catalogue, layout
from pipeline.data.contract import SPLITS, Split
from pipeline.descriptors.drawing import Picture
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import write_json
from pipeline.sights.drawn import write_pictures

EPOCHS = 20


def write_data(classes: Sequence[str], counts: dict[str, int], side: int) -> dict[str, Split]:
    """data/: crops of photographs, labels in turn."""
    random = np.random.default_rng(0)
    photographs = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    splits, described = {}, {}
    for name in SPLITS:
        labels = np.arange(counts[name]) % len(classes)
        images = np.empty((len(labels), side, side, 3), np.uint8)
        for number in range(len(labels)):
            photograph = photographs[number % 3]
            y, x = (int(random.integers(0, length - side)) for length in photograph.shape[:2])
            images[number] = photograph[y : y + side, x : x + side]
        ids = [f"{name}/{number:06}.png" for number in range(len(labels))]
        folder = layout.DATA / name
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
        write_json(folder / "ids.json", ids)
        splits[name] = Split(name, images, labels, ids)
        per_class = np.bincount(labels, minlength=len(classes)).tolist()
        described[name] = {"count": len(labels), "per_class": per_class, "fingerprint": "0" * 32}
    manifest = {
        "dataset": "synthetic", "description": "Crops of three photographs, scores drawn at random.", "synthetic": True,
        "notes": ["Nothing here was trained."], "classes": list(classes), "image_shape": [side, side, 3],
        "grey": False, "given_splits": ["test"], "groups": None, "folds": 0, "splits": described, "skipped_count": 0,
        "skipped": [],
        "duplicates": {"policy": "report", "counts": {}, "dropped": {}, "pairs": []},
    }  # fmt: skip
    write_json(layout.DATA / "manifest.json", manifest)
    return splits


def write_results(splits: dict[str, Split], classes: int, keys: Sequence[str]) -> None:
    """results/: a method is better the later it comes, and its mistakes lie near the truth."""
    random = np.random.default_rng(1)
    for place, key in enumerate(keys):
        method = catalogue.BY_KEY[key]
        folder = layout.results_of(method.family, key)
        scores = {}
        for name in ("val", "test"):
            labels = splits[name].labels
            found = random.standard_normal((len(labels), classes), dtype=np.float32)
            found[np.arange(len(labels)), labels] += 1.5 + 3.5 * place / len(keys)
            found[np.arange(len(labels)), (labels + 1) % classes] += 1.2
            scores[name] = found
        cost = Cost(
            10.0 * 1.6**place, 0.0002 * 1.3**place, 10**6 * (1 + place), 10**5 * (1 + place), None, "cpu", "fp32", 2
        )
        tuning = [
            {"candidate": f"C={c:g}", "value": c, "val_error": 0.5 + 0.02 * abs(rank - 2), "chosen": rank == 2}
            for rank, c in enumerate((0.1, 1.0, 10.0, 100.0))
        ]
        write_result(folder, scores, {name: splits[name] for name in scores}, cost, tuning)
        if method.family == "feature":
            write_json(folder / "vectors.json", {"dimensions": 1000, "training_vectors": 100, "codebook_numbers": 0})
            write_pictures(layout.PICTURES / key, [_picture(random, method.title)])
        if method.family == "network":
            _write_network(folder, key, random)


def _write_network(folder: Path, key: str, random: np.random.Generator) -> None:
    epochs = range(1, EPOCHS + 1)
    for name, start in (("train_error", 0.6), ("val_error", 0.5)):
        path = folder / "live" / "plots" / "metrics" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"step\t{name}\n" + "".join(f"{epoch}\t{start / epoch**0.5:.4f}\n" for epoch in epochs))
    write_json(folder / "live" / "metrics.json", {"best_epoch": EPOCHS})
    names = [f"layer{number}" for number in range(1, 9)]
    rows = [f"{epoch},{name},{0.1 / epoch:.5f}" for epoch in epochs for name in names]
    (folder / "statistics.csv").write_text("epoch,layer,gradient\n" + "\n".join(rows) + "\n")
    layer: dict[str, Any] = {"kind": "convolution K=3 S=1 P=1", "output": [64, 32, 32], "parameters": 36_864}
    write_json(folder / "layers.json", [{"name": name, **layer, "multiply_adds": 37_748_736} for name in names])
    write_json(folder / "architecture.json", {"variant": ""})
    write_pictures(layout.RESULTS / "kernels" / key, [_picture(random, key)])


def _picture(random: np.random.Generator, title: str) -> Picture:
    return Picture(f"What {title} sees.", random.integers(0, 256, (180, 240, 3), dtype=np.uint8))
