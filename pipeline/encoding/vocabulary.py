"""A visual vocabulary: k-means centres of local descriptors."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.randomness import seed_for


def learn_vocabulary(descriptors: np.ndarray, words: int, seed: int) -> np.ndarray:
    """k-means centres (scikit-learn's mini-batch k-means, k-means++ start).

    Args:
        descriptors: float32 (N, D), N ≥ words.

    Returns:
        float32 (words, D).
    """
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(
        words,
        batch_size=max(4096, 3 * words),
        init_size=max(20_000, 3 * words),
        n_init=1,
        max_iter=20,
        random_state=seed_for(seed, "vocabulary") % 2**32,
    )
    with threadpool_limits(1):  # sums in one order: the same words for any number of cores
        model.fit(descriptors)
    return np.ascontiguousarray(model.cluster_centers_, np.float32)


def nearest_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Index of the nearest word of each descriptor (Euclidean), int64 (N,).

    |d − w|² = |d|² − 2 d·w + |w|², and |d|² is the same for all words.
    """
    half_squares = 0.5 * np.einsum("kd,kd->k", words, words)
    return np.asarray(np.argmax(descriptors @ words.T - half_squares, axis=1))
