"""codebook: what a feature must learn from train first → models/<feature>/codebook.npz (empty for most)."""

import time

from pipeline import layout, progress, settings
from pipeline.data.contract import load_split
from pipeline.features.base import Context, load_feature
from pipeline.files import write_arrays, write_json


def run(key: str) -> None:
    """Fit one feature's codebook."""
    chosen = settings.load()
    feature, parameters = load_feature(chosen, key)
    train = load_split("train")
    started = time.perf_counter()
    with progress.bar(f"codebook {key}", len(train)) as bar:
        context = Context(chosen.seed, chosen.compute.worker_count, chosen.compute.backend, bar.advance)
        codebook = feature.fit(train.images, parameters, context)
    folder = layout.MODELS / key
    write_arrays(folder / "codebook.npz", **codebook)
    write_json(folder / "cost.json", {"training_seconds": time.perf_counter() - started})
