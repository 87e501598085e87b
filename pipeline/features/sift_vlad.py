"""Dense SIFT → VLAD: a Fisher vector's simpler relative, with k-means in the place of a mixture."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.context import Codebook, Context
from pipeline.descriptors import grid
from pipeline.descriptors.dense import DenseSettings
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.descriptors.drawing import Picture, tiles, words_on
from pipeline.encoding.follow import as_many_as
from pipeline.encoding.half import to_half
from pipeline.encoding.kmeans import k_means, nearest
from pipeline.encoding.pca import Pca, fit_pca
from pipeline.encoding.regions import Grid, regions
from pipeline.encoding.sampling import sample_dense_sift
from pipeline.encoding.vlad import VladEncoder
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.settings import Positive

BATCH = 8


class Settings(DenseSettings):
    """Descriptors, their projection, and the centres."""

    norm: Literal["L2", "root"]
    dimensions: Annotated[int, Field(ge=1, le=128)]
    whiten: bool
    centres: Annotated[int, Field(ge=1, le=8192)]
    sample: Positive
    regions: Annotated[list[Grid], Field(min_length=1)]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn PCA and centres from a sample of train's descriptors.

    Returns:
        pca_mean (128,), pca_basis (128, d), pca_variances (d,), centres (K, d), all float32.

    Raises:
        PipelineError: `sample` is smaller than the number of centres, or a patch is larger than the image.
    """
    found = sample_dense_sift(images, settings, settings.norm, settings.sample, context, "sift_vlad")
    count = as_many_as(settings.centres, len(found), settings.sample, "sift_vlad.features.centres")
    pca = fit_pca(found, settings.dimensions, settings.whiten)
    centres = k_means(pca.project(found), count, context.seed, passes=context.passes)
    return {"pca_mean": pca.mean, "pca_basis": pca.basis, "pca_variances": pca.variances, "centres": centres}


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Which centre lies nearest to each patch of the middle size."""
    bin_sizes, step = settings.grid_of(images.shape, "sift_vlad")
    size = bin_sizes[len(bin_sizes) // 2]
    places = grid.places(*images.shape[1:3], (size,), step)
    pca = Pca(codebook["pca_mean"], codebook["pca_basis"], codebook["pca_variances"])
    described = dense_sift(images[:6], (size,), step, "flat", settings.norm)[0]
    drawn = [
        words_on(image, nearest(pca.project(found), codebook["centres"])[0], places, 160)
        for image, found in zip(images[:6], described, strict=True)
    ]
    caption = (
        f"Images and their patches: a square for each patch of {4 * size}×{4 * size} pixels, in a colour for the "
        "centre whose SIFT descriptor lies nearest; the feature adds up how far the patches lie from their centres."
    )
    return [Picture(caption, tiles(drawn, 3))]


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """VLADs, float16 (N, R · K · d)."""
    bin_sizes, step = settings.grid_of(images.shape, "sift_vlad")
    places = grid.places(*images.shape[1:3], bin_sizes, step)
    pca = Pca(codebook["pca_mean"], codebook["pca_basis"], codebook["pca_variances"])
    encoder = VladEncoder(codebook["centres"], regions(settings.regions), places)

    def work(part: slice) -> np.ndarray:
        found = dense_sift(images[part], bin_sizes, step, "flat", settings.norm)[0]
        return to_half(np.stack([encoder.encode(pca.project(descriptors)) for descriptors in found]))

    with one_blas_thread():
        return np.concatenate(list(threads(work, slices(len(images), BATCH), context.workers)))
