"""EM for 400,000 descriptors of 64 numbers and 256 Gaussians, against scikit-learn, from the same start."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.fisher import projected_descriptors
from benchmarks.measure import PROCESSES, Row, median_seconds
from pipeline.encoding.gmm import VARIANCE_FLOOR, fit_mixture, from_clusters
from pipeline.encoding.kmeans import k_means
from pipeline.passes import Here

GAUSSIANS, ITERATIONS = 256, 4


def run(data_root: Path) -> list[Row]:
    x = projected_descriptors(data_root, 400_000)
    start = from_clusters(x, k_means(x, GAUSSIANS, 0, passes=Here(PROCESSES)), Here(PROCESSES))

    def ours() -> np.ndarray:
        return fit_mixture(x, GAUSSIANS, 0, ITERATIONS, Here(PROCESSES), start).log_likelihoods

    seconds = median_seconds(ours)
    weights = start.weights.astype(np.float64)
    peer = GaussianMixture(
        GAUSSIANS,
        covariance_type="diag",
        max_iter=ITERATIONS,
        tol=0,
        reg_covar=VARIANCE_FLOOR * float(x.var(axis=0).max()),  # added where ours is a floor: hardly seen
        weights_init=weights / weights.sum(),
        means_init=start.means,
        precisions_init=1 / start.variances,
    )
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(x)
    peer_seconds = time.perf_counter() - started
    name, peer_name = f"gmm, 400,000×64, K={GAUSSIANS}", "GaussianMixture(diag)"
    return [
        Row(f"{name}, seconds an iteration", seconds / ITERATIONS, peer_seconds / ITERATIONS, peer_name, "s", 5),
        Row(f"{name}, log-likelihood", float(ours()[-1]), float(peer.lower_bound_), peer_name, "", None),
    ]
