"""svm: features/<feature>/ → results/svm/<feature>/: the linear SVM of one feature, C and stopping chosen on val."""

import time
from pathlib import Path

import numpy as np

from pipeline import layout, progress, settings
from pipeline.classifiers.linear_svm import LinearSVM, Solver
from pipeline.classifiers.selection import Selection
from pipeline.classifiers.vectors import Scaling, Vectors, finite, open_vectors
from pipeline.data.contract import SPLITS, load_manifest, load_split
from pipeline.device import device_name, pick_device
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import top_k_error
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import read_json, size_of, write_arrays, write_json
from pipeline.settings import Svm


def run(key: str) -> None:
    """Fit one SVM per candidate, keep the solution on the way with the lowest error on val, score test once."""
    chosen = settings.load()
    parameters = chosen.svm(key)
    classes = len(load_manifest()["classes"])
    splits = {name: load_split(name) for name in SPLITS}
    vectors = {name: _open(key, name) for name in SPLITS}
    for name in SPLITS:
        _check(vectors[name].shape, vectors["train"].shape[1], len(splits[name]), key, name)
    views = vectors["val"].shape[0] // len(splits["val"])
    device, workers = pick_device(chosen.compute.device), chosen.compute.worker_count
    started = time.perf_counter()
    scaling = Scaling.of(vectors["train"], workers)
    _must_be_finite(key, scaling, vectors)

    def scores(model: LinearSVM, name: str) -> np.ndarray:
        """Scores of a split, averaged over the views of each image."""
        found = model.scores(vectors[name], device, workers)
        return np.asarray(found.reshape(views, len(splits[name]), classes).mean(axis=0))

    labels = np.tile(splits["train"].labels, vectors["train"].shape[0] // len(splits["train"]))
    solver = Solver(vectors["train"], labels, classes, scaling, device, workers)
    selection = Selection(lambda model: top_k_error(scores(model, "val"), splits["val"].labels, 1), parameters.patience)
    _try_all(key, solver, parameters, selection)
    best = selection.best
    assert best is not None
    fit_seconds = time.perf_counter() - started
    started = time.perf_counter()
    test = scores(best, "test")
    score_seconds = (time.perf_counter() - started) / len(test)

    folder = layout.results_of("feature", key)
    codebook = layout.MODELS / key / "codebook.npz"
    numbers = _numbers(codebook)
    _save(folder, best)
    _describe(folder, best, vectors["train"].shape[0], numbers)
    extraction = read_json(layout.FEATURES / key / "cost.json", f"features@{key}")
    fitting = read_json(layout.MODELS / key / "cost.json", f"codebook@{key}")
    cost = Cost(
        training_seconds=fitting["training_seconds"] + extraction["training_seconds"] + fit_seconds,
        prediction_seconds=extraction["prediction_seconds"] + score_seconds,
        bytes=size_of(folder / "model.npz") + size_of(codebook),
        parameters=best.weights.size + best.bias.size + numbers,
        multiply_adds=None,
        device=device_name(device),
        precision="fp32",
        threads=workers,
        views=views,
    )
    found = {"val": scores(best, "val"), "test": test}
    write_result(folder, found, {name: splits[name] for name in found}, cost, _trials(parameters.candidates, selection))


def _try_all(key: str, solver: Solver, parameters: Svm, selection: Selection) -> None:
    with progress.bar(f"svm {key}", None, unit="Newton steps") as bar:
        for candidate in parameters.candidates:
            selection.begin(_name(candidate))
            _fit(solver, candidate, parameters.tolerance, selection, bar)
            bar.note(f"{_name(candidate)}: val error {selection.trials[-1].val_error:.1%}")


def _fit(
    solver: Solver, candidate: tuple[float, float], tolerance: float, selection: Selection, bar: progress.Bar
) -> None:
    worth_it = True

    def go_on(model: LinearSVM) -> bool:
        nonlocal worth_it
        worth_it = selection.look(model)
        bar.advance()
        bar.note(f"{_name(candidate)}: within {model.gap.max():.1%} of the optimum")
        return worth_it

    model = solver.solve(*candidate, tolerance, go_on=go_on)
    if worth_it and model.gap.max() > tolerance:
        progress.say(
            f"{_name(candidate)}: stopped within {model.gap.max():.1%} of the optimum, not {tolerance:.1%}: "
            "more than that float32, or the number of steps, does not give"
        )


def _save(folder: Path, model: LinearSVM) -> None:
    write_arrays(
        folder / "model.npz",
        weights=model.weights,
        bias=model.bias,
        mean=model.scaling.mean,
        scale=np.array(model.scaling.scale),
    )


def _describe(folder: Path, model: LinearSVM, training_vectors: int, codebook_numbers: int) -> None:
    """What the report's table of descriptors shows beside the cost."""
    described = {
        "dimensions": model.weights.shape[1],
        "training_vectors": training_vectors,
        "codebook_numbers": codebook_numbers,
    }
    write_json(folder / "vectors.json", described)


def _name(candidate: tuple[float, float]) -> str:
    c, weight = candidate
    return f"C={c:g}" if weight == 1 else f"C={c:g}, positives ×{weight:g}"


def _trials(candidates: list[tuple[float, float]], selection: Selection) -> list[dict[str, object]]:
    return [
        {
            "candidate": trial.name,
            "value": c,
            "val_error": trial.val_error,
            "chosen": number == selection.best_trial,
            "kept_step": trial.kept_step,
            "steps": trial.steps - 1,
        }
        for number, ((c, _), trial) in enumerate(zip(candidates, selection.trials, strict=True))
    ]


def _open(key: str, split: str) -> Vectors:
    path = layout.FEATURES / key / f"{split}.npy"
    try:
        return open_vectors(path, layout.MODELS / key / "codebook.npz")
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage features@{key}") from error


def _check(shape: tuple[int, int], dimension: int, images: int, key: str, split: str) -> None:
    if shape[1] != dimension or shape[0] % images or not shape[0]:
        raise PipelineError(
            f"{layout.FEATURES / key / split}.npy: has the shape {shape}, which belongs to other images or settings; "
            f"rerun the stage features@{key}"
        )


def _must_be_finite(key: str, scaling: Scaling, vectors: dict[str, Vectors]) -> None:
    for name in vectors:
        # Train may be larger than memory: the scaling has read it already.
        if not (scaling.finite if name == "train" else finite(vectors[name])):
            path = layout.FEATURES / key / f"{name}.npy"
            raise PipelineError(f"{path}: holds NaN or infinite numbers; rerun the stage features@{key}")


def _numbers(codebook: Path) -> int:
    with np.load(codebook) as arrays:
        return int(sum(arrays[name].size for name in arrays.files))
