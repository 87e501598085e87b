"""One-vs-rest SVM on HOG of 10,000 CIFAR-10 images, C = 1, against LIBLINEAR (scikit-learn's LinearSVC, primal)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sklearn.svm import LinearSVC

from benchmarks.measure import PROCESSES, Row, Skipped, median_seconds
from pipeline.classifiers.linear_svm import Scaling, fit_linear_svm
from pipeline.features.hog import hog

C = 1.0


def run(data_root: Path) -> list[Row]:
    from pipeline.data.sources.cifar import read_records

    path = data_root / "cifar-10-batches-bin" / "data_batch_1.bin"
    if not path.is_file():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    images, labels = read_records(path, 10)
    vectors = hog(images, 9, 4, 2, workers=PROCESSES)
    x = Scaling.of(vectors).apply(vectors)
    ours = median_seconds(lambda: fit_linear_svm(x, labels, 10, C), repeats=3)
    objective = float(fit_linear_svm(x, labels, 10, C).objective.sum())
    started = time.perf_counter()
    reference = LinearSVC(C=C, dual=False).fit(x, labels)
    peer = time.perf_counter() - started
    name = "LinearSVC(dual=False)"
    return [
        Row("svm, HOG 10,000×1,764", ours, peer, name, "s", None),
        Row("svm, objective reached", objective, _objective(reference, x, labels), name, "", None),
    ]


def _objective(model: LinearSVC, x: np.ndarray, labels: np.ndarray) -> float:
    signs = np.where(labels[:, None] == np.arange(len(model.coef_)), 1, -1)
    slack = np.maximum(0, 1 - signs * (x @ model.coef_.T + model.intercept_))
    return float(0.5 * ((model.coef_**2).sum() + (model.intercept_**2).sum()) + C * (slack**2).sum())
