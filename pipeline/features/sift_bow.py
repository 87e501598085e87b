"""SIFT → histogram of visual words (Csurka et al. 2004, with Lowe's SIFT, IJCV 2004), dense or at keypoints.

On a dense grid the descriptors are our own; keypoints are detected and described by OpenCV. The vocabulary is learned
by k-means on descriptors of train.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.context import Codebook, Context
from pipeline.descriptors import drawing, grid, keypoints
from pipeline.descriptors.dense import DenseSettings
from pipeline.descriptors.dense_sift import dense_sift
from pipeline.descriptors.drawing import Picture
from pipeline.encoding.bag_of_words import WordCounter, WordsSettings, histograms, learn_words, rarity
from pipeline.encoding.kmeans import nearest
from pipeline.encoding.sampling import sample_dense_sift
from pipeline.parallel import one_blas_thread, slices, threads

BATCH = 8
SHOWN_WORDS, PATCHES = 8, 12


class Settings(DenseSettings, WordsSettings):
    """Where SIFT is computed, and how its words are counted.

    `bin_sizes`, `step` and `norm` belong to the dense grid, `upscale` and `contrast_threshold` to keypoints.
    """

    detector: Literal["dense", "keypoints"]
    norm: Literal["L2", "root"]
    upscale: Literal["auto"] | Annotated[float, Field(ge=1, le=8)]
    contrast_threshold: Annotated[float, Field(ge=0, lt=1)]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn the vocabulary from a sample of train's descriptors, and how rare each word is.

    Returns:
        words float32 (K, 128), beta, idf float32 (K,).

    Raises:
        PipelineError: train has fewer descriptors than words, or a patch is larger than the image.
    """
    if settings.detector == "keypoints":
        found = keypoints.sample(
            images, settings.upscale, settings.contrast_threshold, settings.sample, context, "sift_bow"
        )
    else:
        found = sample_dense_sift(images, settings, settings.norm, settings.sample, context, "sift_bow")
    codebook = learn_words(found, settings, context, "sift_bow")
    some = images[:: max(1, len(images) // 2000)] if settings.weighting == "tf-idf" else images[:1]
    whole = _votes(some, settings, codebook, context).max(axis=1)
    return codebook | {"idf": rarity(whole, settings.weighting)}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Histograms of words over each region, mapped: float32 (N, R · K), three times that for χ²."""
    votes = _votes(images, settings, codebook, context)
    return histograms(votes, codebook["idf"], len(settings.regions), settings.map)


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Where OpenCV finds keypoints, and the patches nearest to some words."""
    drawn = []
    for image in images[:6]:
        _, places = keypoints.describe(image, settings.upscale, settings.contrast_threshold)
        drawn.append(drawing.keypoints_on(image, places, 160))
    found = [Picture("Images with the keypoints that SIFT's detector finds.", drawing.tiles(drawn, 6))]
    if settings.detector == "dense":
        found.append(_words(images[:6], settings, codebook))
        caption = f"Visual words: each row shows the {PATCHES} patches of training images that lie nearest to one word."
        found.append(Picture(caption, _nearest_patches(images, settings, codebook)))
    return found


def _words(images: np.ndarray, settings: Settings, codebook: Codebook) -> Picture:
    """Which word lies nearest to each patch of the middle size."""
    bin_sizes, step = settings.grid_of(images.shape, "sift_bow")
    size = bin_sizes[len(bin_sizes) // 2]
    places = grid.places(*images.shape[1:3], (size,), step)
    descriptors = dense_sift(images, (size,), step, "flat", settings.norm)[0]
    drawn = [
        drawing.words_on(image, nearest(found, codebook["words"])[0], places, 160)
        for image, found in zip(images, descriptors, strict=True)
    ]
    caption = (
        f"Images and their visual words: a square for each patch of {4 * size}×{4 * size} pixels, in a colour for the "
        "word whose SIFT descriptor lies nearest."
    )
    return Picture(caption, drawing.tiles(drawn, 3))


def _nearest_patches(images: np.ndarray, settings: Settings, codebook: Codebook) -> np.ndarray:
    """For words spread over the vocabulary, the nearest patches, at most one an image."""
    bin_sizes, step = settings.grid_of(images.shape, "sift_bow")
    size = bin_sizes[len(bin_sizes) // 2]
    height, width = images.shape[1:3]
    places = grid.places(height, width, (size,), step)
    descriptors = dense_sift(images, (size,), step, "flat", settings.norm)[0]
    words = codebook["words"][:: max(1, len(codebook["words"]) // SHOWN_WORDS)][:SHOWN_WORDS]
    rows = []
    for word in words:
        distances = ((descriptors - word) ** 2).sum(axis=2)
        for image in np.argsort(distances.min(axis=1))[:PATCHES]:
            x, y = places[distances[image].argmin()] * [width, height]
            top, left = (
                int(np.clip(middle - 2 * size, 0, length - 4 * size)) for middle, length in ((y, height), (x, width))
            )
            patch = images[image, top : top + 4 * size, left : left + 4 * size]
            rows.append(cv2.resize(patch, (48, 48), interpolation=cv2.INTER_NEAREST))
    return drawing.tiles(rows, PATCHES)


def _votes(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Votes in each region: float32 (N, R, K)."""
    counter = WordCounter.of(codebook, settings)
    keypoints.keep_to_one_thread()

    def work(part: slice) -> list[np.ndarray]:
        return [counter.count(descriptors, places) for descriptors, places in _describe(images[part], settings)]

    with one_blas_thread():
        parts = list(threads(work, slices(len(images), BATCH), context.workers))
    return np.stack([votes for part in parts for votes in part])


def _describe(images: np.ndarray, settings: Settings) -> list[tuple[np.ndarray, np.ndarray]]:
    """Descriptors and places of each image."""
    if settings.detector == "keypoints":
        return [keypoints.describe(image, settings.upscale, settings.contrast_threshold) for image in images]
    bin_sizes, step = settings.grid_of(images.shape, "sift_bow")
    places = grid.places(*images.shape[1:3], bin_sizes, step)
    return [(descriptors, places) for descriptors in dense_sift(images, bin_sizes, step, "flat", settings.norm)[0]]
