"""Product codes (8 dimensions a byte) of Fisher vectors: their size, and what they cost in error, on CIFAR-10.

As in the pipeline the training vectors are codes and those of test are whole. The setting is a hard one: 10,000
training images without mirror copies, so that the noise of coding is averaged over few.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.fisher import fisher_vectors
from benchmarks.measure import PROCESSES, Row, Skipped, median_seconds
from pipeline.classifiers.linear_svm import Solver
from pipeline.classifiers.vectors import Coded, Dense, Vectors
from pipeline.encoding.fisher_feature import pair
from pipeline.encoding.product_quantization import fit_product_quantizer

TRAIN, GAUSSIANS, C = 10_000, 256, 0.3
LOST = 0.5  # points of error that codes may cost


def run(data_root: Path) -> list[Row]:
    from pipeline.data.sources.cifar import read_records

    folder = data_root / "cifar-10-batches-bin"
    if not folder.is_dir():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    parts = [read_records(folder / f"{name}.bin", 10) for name in ("data_batch_1", "test_batch")]
    labels = np.concatenate([part[1] for part in parts])
    vectors = pair(fisher_vectors(np.concatenate([part[0] for part in parts]), GAUSSIANS), 1)
    train = vectors[:TRAIN]
    quantizer = fit_product_quantizer(train, 8, 0, PROCESSES)
    codes = quantizer.encode(train)
    plain = _error(Dense(train), Dense(vectors[TRAIN:]), labels)
    coded = _error(Coded(codes, quantizer.centroids), Dense(vectors[TRAIN:]), labels)
    some = vectors[:1000].astype(np.float32)
    rate = len(some) / median_seconds(lambda: quantizer.encode(some), repeats=3)
    return [
        Row("pq, bytes a vector", codes.shape[1], vectors.shape[1] * 4, "float32", "bytes", 32),
        Row(
            "pq, top-1 error, learned from codes",
            coded,
            plain + LOST,
            f"half precision ({plain:.2f} %) + {LOST}",
            "%",
            1,
        ),
        Row("pq, encoding, one thread", rate, None, "", "images/s", None),
    ]


def _error(train: Vectors, test: Vectors, labels: np.ndarray) -> float:
    model = Solver(train, labels[:TRAIN], 10, workers=PROCESSES).solve(C)
    guesses = model.scores(test, workers=PROCESSES).argmax(axis=1)
    return 100 * float((guesses != labels[TRAIN:]).mean())
