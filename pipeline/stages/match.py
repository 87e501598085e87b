"""match: data/ → results/match/<matcher>/: compare every image with examples of each class, the ratio chosen on val."""

import time

import numpy as np

from pipeline import catalogue, layout, progress, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.descriptors.matching import Keypoints
from pipeline.evaluation.metrics import top_k_error
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import size_of, write_arrays
from pipeline.stages.pictures import write_pictures

SEARCHED = 200  # val images, for the picture of two matched ones


def run(key: str) -> None:
    """Describe the examples, choose the ratio, score test once."""
    chosen = settings.load()
    parameters, matcher = chosen.matcher(key), catalogue.BY_KEY[key].load()
    classes = len(load_manifest()["classes"])
    train, val, test = (load_split(name) for name in ("train", "val", "test"))
    matcher.check_size(parameters, classes, len(val), len(test))
    workers = chosen.compute.worker_count

    started = time.perf_counter()
    rows = matcher.choose_examples(train.labels, classes, parameters.examples, chosen.seed)
    gallery = Keypoints.of(matcher.describe(train.images[rows], parameters, workers))
    labels = train.labels[rows]
    trials = []
    with progress.bar(f"match {key}", len(parameters.ratios) * len(val) + len(test)) as bar:
        described = matcher.describe(val.images, parameters, workers)
        for ratio in parameters.ratios:
            found = matcher.score(described, gallery, labels, classes, ratio, parameters.pixels, workers, bar.advance)
            trials.append((top_k_error(found, val.labels, 1), ratio, found))
        best = int(np.argmin([error for error, _, _ in trials]))
        fit_seconds = time.perf_counter() - started
        started = time.perf_counter()
        scores = matcher.score(
            matcher.describe(test.images, parameters, workers),
            gallery,
            labels,
            classes,
            trials[best][1],
            parameters.pixels,
            workers,
            bar.advance,
        )
    seconds = (time.perf_counter() - started) / len(test)

    folder = layout.results_of("matcher", key)
    write_arrays(
        folder / "model.npz",
        descriptors=gallery.descriptors.astype(np.uint8),
        places=gallery.places,
        bounds=gallery.bounds,
        labels=labels,
        ratio=np.array(trials[best][1]),
    )
    cost = Cost(
        training_seconds=fit_seconds,
        prediction_seconds=seconds,
        bytes=size_of(folder / "model.npz"),
        parameters=0,
        multiply_adds=None,
        device="cpu",
        precision="fp32",
        threads=workers,
    )
    tuning = [
        {"candidate": f"ratio {ratio:g}", "value": ratio, "val_error": error, "chosen": number == best}
        for number, (error, ratio, _) in enumerate(trials)
    ]
    some = described[:SEARCHED]
    drawn = matcher.draw_best(val.images[:SEARCHED], some, train.images[rows], gallery, parameters)
    write_pictures(folder, [drawn] if drawn else [])
    write_result(folder, {"val": trials[best][2], "test": scores}, {"val": val, "test": test}, cost, tuning)
