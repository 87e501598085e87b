"""4,096 words from 500,000 SIFT descriptors, against scikit-learn's mini-batches and, where installed, faiss.

Both peers get settings that end within one per cent of our inertia or below; their own defaults are slower or worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.measure import PROCESSES, Row, cifar_images
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.encoding.kmeans import inertia, k_means
from pipeline.passes import Here

WORDS, COUNT = 4096, 500_000


def run(data_root: Path) -> list[Row]:
    found = dense_sift(cifar_images(data_root, 3000), (2, 3, 4), 2, workers=PROCESSES)[0].reshape(-1, 128)
    x = found[np.random.default_rng(0).permutation(len(found))[:COUNT]]
    k_means(x[:20_000], 64, 0, passes=Here(PROCESSES))  # compiles
    ours, reached = _timed(x, lambda: k_means(x, WORDS, 0, passes=Here(PROCESSES)))
    rows = []
    peers: dict[str, Callable[[], np.ndarray] | None] = {"MiniBatchKMeans": lambda: _mini_batch(x), "faiss": _faiss(x)}
    for name, fit in peers.items():
        if fit is None:
            rows.append(Row("kmeans, 500,000×128, K=4,096", ours, None, name, "s", 3))
            continue
        seconds, peer_reached = _timed(x, fit)
        rows.append(Row("kmeans, 500,000×128, K=4,096", ours, seconds, name, "s", 3))
        rows.append(Row("kmeans, inertia a vector", reached, peer_reached, name, "", 0.99))
    return rows


def _timed(x: np.ndarray, fit: Callable[[], np.ndarray]) -> tuple[float, float]:
    started = time.perf_counter()
    centres = fit()
    return time.perf_counter() - started, inertia(x, centres, Here(PROCESSES)) / len(x)


def _mini_batch(x: np.ndarray) -> np.ndarray:
    model = MiniBatchKMeans(WORDS, init="random", n_init=1, batch_size=16_384, max_iter=10, random_state=0)
    return np.asarray(model.fit(x).cluster_centers_, np.float32)


def _faiss(x: np.ndarray) -> Callable[[], np.ndarray] | None:
    try:
        import faiss
    except ImportError:
        return None

    def fit() -> np.ndarray:
        model = faiss.Kmeans(x.shape[1], WORDS, niter=10, seed=1)
        model.train(x)
        return np.asarray(model.centroids)

    return fit
