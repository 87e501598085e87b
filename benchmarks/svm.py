"""One-vs-rest SVMs against LIBLINEAR (scikit-learn's LinearSVC): HOG vectors, and half-precision Fisher vectors.

LIBLINEAR copies its data into (index, value) pairs of 16 bytes: 20,000 × 33,792 numbers take it 16 GB and, in a first
measurement, more than an hour. So it gets a tenth of the rows, and its time is multiplied by ten. That favours it: a
pass grows with the rows, and the number of passes doesn't fall.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sklearn.svm import LinearSVC

from benchmarks.measure import PROCESSES, Row, Skipped, median_seconds
from pipeline.classifiers.linear_svm import LinearSVM, Solver
from pipeline.classifiers.vectors import Dense, Scaling
from pipeline.features.hog import hog

C = 1.0
FISHER_SHAPE = (20_000, 33_792)
PEER_SHARE = 10


def run(data_root: Path) -> list[Row]:
    return [*_hog(data_root), *_fisher(data_root)]


def _training_images(data_root: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    from pipeline.data.sources.cifar import read_records

    files = [data_root / "cifar-10-batches-bin" / f"data_batch_{number}.bin" for number in (1, 2)]
    if not all(path.is_file() for path in files):
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    parts = [read_records(path, 10) for path in files]
    return np.concatenate([part[0] for part in parts])[:count], np.concatenate([part[1] for part in parts])[:count]


def _hog(data_root: Path) -> list[Row]:
    images, labels = _training_images(data_root, 10_000)
    vectors = hog(images, 9, 4, 2, workers=PROCESSES)
    ours = median_seconds(lambda: _solve(vectors, labels), repeats=3)
    model = _solve(vectors, labels)
    peer, objective = _liblinear(_scaled(vectors, model.scaling), labels)
    return _rows("svm, HOG 10,000×1,764", ours, peer, model, objective)


def _fisher(data_root: Path) -> list[Row]:
    """Vectors of real images, encoded with a mixture of real descriptors."""
    from benchmarks.fisher import fisher_vectors

    images, labels = _training_images(data_root, FISHER_SHAPE[0])
    vectors = fisher_vectors(images, gaussians=256)
    started = time.perf_counter()
    _solve(vectors, labels)
    ours = time.perf_counter() - started
    some = np.arange(0, len(labels), PEER_SHARE)
    model = _solve(np.ascontiguousarray(vectors[some]), labels[some])
    peer, objective = _liblinear(_scaled(vectors[some].astype(np.float32), model.scaling), labels[some])
    name = f"svm, Fisher vectors {FISHER_SHAPE[0]:,}×{FISHER_SHAPE[1]:,}, half precision"
    return _rows(name, ours, peer * PEER_SHARE, model, objective)


def _rows(name: str, ours: float, peer: float, model: LinearSVM, objective: float) -> list[Row]:
    reached = float(model.objective.sum())
    return [
        Row(name, ours, peer, "LinearSVC(dual='auto')", "s", 10),
        Row(f"{name}: objective reached", reached, objective, "LinearSVC(dual='auto')", "", 0.99),
    ]


def _solve(vectors: np.ndarray, labels: np.ndarray) -> LinearSVM:
    return Solver(Dense(vectors), labels, 10, workers=PROCESSES).solve(C)


def _scaled(vectors: np.ndarray, scaling: Scaling) -> np.ndarray:
    return (vectors - scaling.mean) * np.float32(scaling.scale)


def _liblinear(x: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Seconds and objective."""
    started = time.perf_counter()
    model = LinearSVC(C=C, dual="auto").fit(x, labels)
    seconds = time.perf_counter() - started
    signs = np.where(labels[:, None] == np.arange(len(model.coef_)), 1, -1)
    slack = np.maximum(0, 1 - signs * (x @ model.coef_.T + model.intercept_))
    return seconds, float(0.5 * ((model.coef_**2).sum() + (model.intercept_**2).sum()) + C * (slack**2).sum())
