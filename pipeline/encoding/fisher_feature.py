"""Local descriptors → one Fisher vector an image, optionally product-quantised: what sift_fv and color_fv share.

describe → PCA → append the patch's place → mixture of Gaussians → Fisher vector → half precision, or codes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.descriptors import grid
from pipeline.descriptors.dense import DenseSettings
from pipeline.encoding.fisher import FisherEncoder
from pipeline.encoding.gmm import Mixture, fit_mixture
from pipeline.encoding.half import to_half
from pipeline.encoding.pca import Pca, fit_pca
from pipeline.encoding.product_quantization import ProductQuantizer, check_group, fit_product_quantizer
from pipeline.encoding.regions import Grid, regions
from pipeline.encoding.sampling import sample_descriptors
from pipeline.errors import PipelineError
from pipeline.features.base import Codebook, Context
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.randomness import generator
from pipeline.settings import Positive, Section

IMAGES = 4  # a thread describes and encodes at once


class Quantization(Section):
    """Product codes: `group` dimensions share a code of `bits` bits a dimension; learned from `sample` vectors."""

    group: Positive
    bits: Positive
    sample: Annotated[int, Field(ge=256)]


class FisherSettings(DenseSettings):
    """From local descriptors to a vector."""

    dimensions: Annotated[int, Field(ge=1, le=128)]
    whiten: bool
    place: Annotated[float, Field(ge=0, le=10)]
    gaussians: Annotated[int, Field(ge=1, le=8192)]
    iterations: Positive
    sample: Positive
    regions: Annotated[list[Grid], Field(min_length=1)]
    quantization: Quantization | None


#: Images uint8 (n, H, W, 3), bin sizes, step → local descriptors float32 (n, F, D), in the order of grid.places.
Describe = Callable[[np.ndarray, tuple[int, ...], int], np.ndarray]


def fit(describe: Describe, images: np.ndarray, settings: FisherSettings, context: Context, key: str) -> Codebook:
    """Learn PCA, the mixture and, where wanted, the quantiser from descriptors of train.

    Raises:
        PipelineError: the settings don't fit the images or each other; names the key and what works.
    """
    bin_sizes, step = settings.grid_of(images.shape, key)
    found, places = sample_descriptors(
        images,
        lambda batch: describe(batch, bin_sizes, step),
        grid.places(*images.shape[1:3], bin_sizes, step),
        settings.sample,
        context,
        key,
    )
    if settings.gaussians > len(found):
        raise PipelineError(
            f"`{key}.features.gaussians` is {settings.gaussians}, but `sample` gives {len(found)} descriptors; "
            f"take at most {len(found)}, or a larger sample"
        )
    pca = fit_pca(found, settings.dimensions, settings.whiten)
    projected = pca.project(found)
    spread = float(projected.std())
    codebook = {"pca_mean": pca.mean, "pca_basis": pca.basis, "pca_variances": pca.variances}
    codebook |= {"place_scale": np.array(2 * settings.place * max(spread, 1e-6), np.float32)}
    points = _with_places(projected, places, codebook)
    mixture = fit_mixture(points, settings.gaussians, context.seed, settings.iterations, context.workers)
    codebook |= {
        "weights": mixture.weights,
        "means": mixture.means,
        "variances": mixture.variances,
        "log_likelihoods": mixture.log_likelihoods,
    }
    if settings.quantization is not None:
        codebook |= {"centroids": _fit_quantizer(describe, images, settings, codebook, context, key).centroids}
    return codebook


def transform(
    describe: Describe, images: np.ndarray, settings: FisherSettings, codebook: Codebook, context: Context, key: str
) -> np.ndarray:
    """Fisher vectors float16 (N, R·2·K·d), or their codes uint8 (N, R·2·K·d / G)."""
    quantizer = ProductQuantizer(codebook["centroids"]) if settings.quantization is not None else None

    def store(vectors: np.ndarray) -> np.ndarray:
        return to_half(vectors) if quantizer is None else quantizer.encode(vectors)

    return _encode(describe, images, settings, codebook, context, key, store)


def _encode(
    describe: Describe,
    images: np.ndarray,
    settings: FisherSettings,
    codebook: Codebook,
    context: Context,
    key: str,
    store: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    bin_sizes, step = settings.grid_of(images.shape, key)
    places = grid.places(*images.shape[1:3], bin_sizes, step)
    pca = Pca(codebook["pca_mean"], codebook["pca_basis"], codebook["pca_variances"])
    mixture = Mixture(codebook["weights"], codebook["means"], codebook["variances"], codebook["log_likelihoods"])
    wanted = min(settings.dimensions, len(codebook["pca_mean"])) + (2 if settings.place else 0)
    if mixture.means.shape != (settings.gaussians, wanted):
        raise PipelineError(
            f"models/{key}/codebook.npz: was fitted for other settings (its mixture is {mixture.means.shape}, "
            f"`{key}.features` wants {(settings.gaussians, wanted)}); rerun the stage codebook@{key}"
        )
    encoder = FisherEncoder(mixture, regions(settings.regions), places)

    def work(part: slice) -> np.ndarray:
        found = describe(images[part], bin_sizes, step)
        vectors = np.empty((len(found), encoder.dimension), np.float32)
        for vector, descriptors in zip(vectors, found, strict=True):
            vector[:] = encoder.encode(_with_places(pca.project(descriptors), places, codebook))
        context.advance(len(found))
        return store(vectors)

    with one_blas_thread():
        parts = list(threads(work, slices(len(images), IMAGES), context.workers))
    return np.concatenate(parts)


def mean_descriptors(codebook: Codebook, count: int) -> np.ndarray:
    """The heaviest Gaussians' means, brought back from PCA's directions: float32 (count, D)."""
    heaviest = np.argsort(-codebook["weights"])[:count]
    basis = codebook["pca_basis"]
    means = codebook["means"][heaviest, : basis.shape[1]]
    lengths = np.maximum((basis**2).sum(axis=0), 1e-12)  # 1, except after whitening
    return np.asarray((means / lengths) @ basis.T + codebook["pca_mean"])


def _fit_quantizer(
    describe: Describe, images: np.ndarray, settings: FisherSettings, codebook: Codebook, context: Context, key: str
) -> ProductQuantizer:
    assert settings.quantization is not None
    group, bits = settings.quantization.group, settings.quantization.bits
    dimension = 2 * codebook["means"].size * len(regions(settings.regions))
    check_group(dimension, group, bits, f"{key}.features.quantization")
    rows = np.sort(
        generator(context.seed, f"{key} quantization").permutation(len(images))[: settings.quantization.sample]
    )
    quiet = Context(context.seed, context.workers, context.backend)
    vectors = _encode(describe, images[rows], settings, codebook, quiet, key, to_half)
    return fit_product_quantizer(vectors, group, context.seed, context.workers)


def _with_places(projected: np.ndarray, places: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Append where each patch lies, (x, y) from the image's middle (Sánchez, Perronnin & de Campos, 2012)."""
    scale = codebook["place_scale"]
    if scale == 0:
        return projected
    return np.concatenate([projected, (places - np.float32(0.5)) * scale], axis=1)
