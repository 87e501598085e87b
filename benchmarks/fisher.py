"""Fisher vectors of 3,600 descriptors of 64 numbers against scikit-image and VLFeat, on the same mixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import vlfeat
from benchmarks.measure import PROCESSES, Row, cifar_images, medians
from pipeline.descriptors import grid
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.encoding.fisher import FisherEncoder
from pipeline.encoding.gmm import Mixture, fit_mixture
from pipeline.encoding.half import to_half
from pipeline.encoding.pca import fit_pca
from pipeline.encoding.regions import regions
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.passes import Here

DESCRIPTORS = 3600
IMAGES = 16
BINS, STEP = (2, 3, 4), 2


def projected_descriptors(data_root: Path, count: int) -> np.ndarray:
    """Dense SIFT of CIFAR-10, brought to 64 dimensions: float32 (count, 64)."""
    images = cifar_images(data_root, -(-count // 400))
    found = dense_sift(images, BINS, STEP, norm="root", workers=PROCESSES)[0].reshape(-1, 128)
    found = found[np.random.default_rng(0).permutation(len(found))[:count]]
    return fit_pca(found, 64).project(found)


def fisher_vectors(images: np.ndarray, gaussians: int) -> np.ndarray:
    """Fisher vectors of small images with 64 dimensions and places: float16 (N, 2 · 66 · gaussians)."""
    places = grid.places(*images.shape[1:3], BINS, STEP)
    some = dense_sift(images[:1000], BINS, STEP, norm="root", workers=PROCESSES)[0]
    pca = fit_pca(some.reshape(-1, 128), 64)

    def with_places(descriptors: np.ndarray) -> np.ndarray:
        return np.concatenate([pca.project(descriptors), (places - np.float32(0.5)) * np.float32(0.2)], axis=1)

    sample = np.concatenate([with_places(descriptors)[::4] for descriptors in some])
    encoder = FisherEncoder(fit_mixture(sample, gaussians, 0, 5, Here(PROCESSES)), regions(["1x1"]), places)

    def work(part: slice) -> np.ndarray:
        found = dense_sift(images[part], BINS, STEP, norm="root")[0]
        return to_half(np.stack([encoder.encode(with_places(descriptors)) for descriptors in found]))

    with one_blas_thread():
        return np.concatenate(list(threads(work, slices(len(images), 8), PROCESSES)))


def run(data_root: Path) -> list[Row]:
    x = projected_descriptors(data_root, 400_000)
    return [row for gaussians in (256, 1024) for row in _rows(x, gaussians)]


def _rows(x: np.ndarray, gaussians: int) -> list[Row]:
    mixture = fit_mixture(x[:100_000], gaussians, 0, 3, Here(PROCESSES))
    images = [x[i * DESCRIPTORS : (i + 1) * DESCRIPTORS] for i in range(IMAGES)]
    places = np.random.default_rng(0).random((DESCRIPTORS, 2)).astype(np.float32)
    encoder = FisherEncoder(mixture, regions(["1x1"]), places)

    def ours() -> None:
        with one_blas_thread():
            list(threads(encoder.encode, images * 4, PROCESSES))

    runs = [ours, lambda: _scikit_image(images, mixture)]
    if vlfeat.available():
        runs.append(lambda: _vlfeat(images, mixture))
    seconds = medians(runs)
    rate, reference, *peer = 4 * IMAGES / seconds[0], *(IMAGES / some for some in seconds[1:])
    name = f"fisher, {DESCRIPTORS:,}×64, K={gaussians:,}"
    return [
        Row(name, rate, reference, "skimage.feature.fisher_vector", "images/s", 3),
        Row(name, rate, peer[0] if peer else None, "vl_fisher_encode", "images/s", 4),
    ]


def _scikit_image(images: list[np.ndarray], mixture: Mixture) -> None:
    from skimage.feature import fisher_vector
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(len(mixture.weights), covariance_type="diag")
    model.weights_, model.means_, model.covariances_ = mixture.weights, mixture.means, mixture.variances
    model.precisions_cholesky_ = 1 / np.sqrt(mixture.variances)
    for descriptors in images:
        fisher_vector(descriptors, model, improved=True)


def _vlfeat(images: list[np.ndarray], mixture: Mixture) -> None:
    for descriptors in images:
        vlfeat.fisher(descriptors, mixture.means, mixture.variances, mixture.weights)
