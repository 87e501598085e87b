"""Product codes (8 dimensions a byte) of Fisher vectors: their size, and what they cost in error, on CIFAR-10.

As in the pipeline the training vectors are codes and those of val and test are whole, and C is chosen on val for each
by itself, since the noise of coding regularises too. The setting is a hard one: 10,000 training images without mirror
copies, so that this noise is averaged over few. A single difference is itself uncertain by some tenths of a point, so
it is the mean over three training sets.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.fisher import fisher_vectors
from benchmarks.measure import PROCESSES, Row, Skipped, median_seconds
from pipeline.classifiers.linear_svm import Solver
from pipeline.classifiers.vectors import Coded, Dense, Vectors
from pipeline.encoding.fisher_feature import pair
from pipeline.encoding.product_quantization import fit_product_quantizer
from pipeline.passes import Here

TRAIN, VAL, GAUSSIANS = 10_000, 5_000, 256
TRAINING_SETS = 3
CANDIDATES = (0.1, 0.3, 1.0, 3.0)  # of C
LOST = 0.5  # points of error that codes may cost


def run(data_root: Path) -> list[Row]:
    from pipeline.data.sources.cifar import read_records

    folder = data_root / "cifar-10-batches-bin"
    if not folder.is_dir():
        raise Skipped(f"CIFAR-10 is not in {data_root}; give --data-root")
    names = [f"data_batch_{number + 1}" for number in range(TRAINING_SETS + 1)]
    parts = [read_records(folder / f"{name}.bin", 10) for name in (*names, "test_batch")]
    images, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    vectors = pair(fisher_vectors(images, GAUSSIANS), 1)
    test = slice(len(vectors) - len(parts[-1][1]), None)
    plain, coded = [], []
    for number in range(TRAINING_SETS):
        first = number * TRAIN
        train, val = slice(first, first + TRAIN), slice(first + TRAIN, first + TRAIN + VAL)
        whole = vectors[train]
        quantizer = fit_product_quantizer(whole, 8, 0, Here(PROCESSES))
        codes = quantizer.encode(whole)
        rest = [(Dense(vectors[where]), labels[where]) for where in (val, test)]
        plain.append(_error(Dense(whole), labels[train], *rest))
        coded.append(_error(Coded(codes, quantizer.centroids), labels[train], *rest))
    some = vectors[:1000].astype(np.float32)
    rate = len(some) / median_seconds(lambda: quantizer.encode(some), repeats=3)
    return [
        Row("pq, bytes a vector", codes.shape[1], vectors.shape[1] * 4, "float32", "bytes", 32),
        Row(
            f"pq, top-1 error, learned from codes, mean of {TRAINING_SETS} training sets",
            fmean(coded),
            fmean(plain) + LOST,
            f"half precision ({fmean(plain):.2f} %) + {LOST}",
            "%",
            1,
        ),
        Row("pq, encoding, one thread", rate, None, "", "images/s", None),
    ]


def _error(train: Vectors, labels: np.ndarray, *rest: tuple[Vectors, np.ndarray]) -> float:
    """Test error in percent with the C that has the lowest error on val; `rest` is val and test."""
    solver, found = Solver(train, labels, 10, workers=PROCESSES), []
    for c in CANDIDATES:
        model = solver.solve(c)
        guesses = [model.scores(vectors, workers=PROCESSES).argmax(axis=1) for vectors, _ in rest]
        found.append([float((guess != truth).mean()) for guess, (_, truth) in zip(guesses, rest, strict=True)])
    return 100 * min(found, key=lambda errors: errors[0])[1]  # of equals the smallest C: test decides nothing
