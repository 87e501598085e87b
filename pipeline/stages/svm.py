"""svm: features/<feature>/ → results/svm/<feature>/: the linear SVM behind one feature, C chosen on val."""

import time
from pathlib import Path

import numpy as np

from pipeline import layout, progress, settings
from pipeline.classifiers.linear_svm import LinearSVM, Scaling, fit_linear_svm
from pipeline.data.contract import SPLITS, load_manifest, load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import top_k_error
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import read_json, size_of, write_arrays


def run(key: str) -> None:
    """Fit one SVM per value of C, keep the one with the lowest error on val, score test once."""
    chosen = settings.load()
    values = sorted(chosen.svm(key).C)
    classes = len(load_manifest()["classes"])
    splits = {name: load_split(name) for name in SPLITS}
    started = time.perf_counter()
    train = _load(key, "train")
    labels = np.tile(splits["train"].labels, len(train) // len(splits["train"]))
    scaling = Scaling.of(train)
    train = scaling.apply(train)
    val = scaling.apply(_load(key, "val"))
    best, tuning = _tune(train, labels, val, splits["val"].labels, classes, values, key)
    fit_seconds = time.perf_counter() - started
    del train
    started = time.perf_counter()
    test = best.scores(scaling.apply(_load(key, "test")))
    score_seconds = (time.perf_counter() - started) / len(test)

    folder = layout.results_of("feature", key)
    write_arrays(
        folder / "model.npz", weights=best.weights, bias=best.bias, mean=scaling.mean, scale=np.array(scaling.scale)
    )
    extraction = read_json(layout.FEATURES / key / "cost.json", f"features@{key}")
    codebook = layout.MODELS / key / "codebook.npz"
    fitting = read_json(layout.MODELS / key / "cost.json", f"codebook@{key}")
    cost = Cost(
        training_seconds=fitting["training_seconds"] + extraction["training_seconds"] + fit_seconds,
        prediction_seconds=extraction["prediction_seconds"] + score_seconds,
        bytes=size_of(folder / "model.npz") + size_of(codebook),
        parameters=best.weights.size + best.bias.size + _numbers(codebook),
        multiply_adds=None,
        device="cpu",
        precision="fp32",
        threads=chosen.compute.worker_count,
    )
    val_and_test = {name: splits[name] for name in ("val", "test")}
    write_result(folder, {"val": best.scores(val), "test": test}, val_and_test, cost, tuning)


def _tune(
    train: np.ndarray,
    labels: np.ndarray,
    val: np.ndarray,
    val_labels: np.ndarray,
    classes: int,
    values: list[float],
    key: str,
) -> tuple[LinearSVM, list[dict[str, object]]]:
    """Solve for each C, from the smallest up, each starting from the one before."""
    models: list[LinearSVM] = []
    errors: list[float] = []
    with progress.bar(f"svm {key}", len(values), unit="fits") as bar:
        for c in values:
            models.append(fit_linear_svm(train, labels, classes, c, start=models[-1] if models else None))
            errors.append(top_k_error(models[-1].scores(val), val_labels, 1))
            bar.note(f"C={c:g}: val error {errors[-1]:.1%}")
            bar.advance()
    best = int(np.argmin(errors))  # of equals the smallest C: the stronger regularisation
    tuning = [
        {"candidate": f"C={c:g}", "value": c, "val_error": error, "chosen": index == best}
        for index, (c, error) in enumerate(zip(values, errors, strict=True))
    ]
    return models[best], tuning


def _load(key: str, split: str) -> np.ndarray:
    path = layout.FEATURES / key / f"{split}.npy"
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage features@{key}") from error
    if not np.isfinite(vectors).all():
        raise PipelineError(f"{path}: holds NaN or infinite numbers; rerun the stage features@{key}")
    return vectors


def _numbers(codebook: Path) -> int:
    with np.load(codebook) as arrays:
        return int(sum(arrays[name].size for name in arrays.files))
