"""SIFT keypoints → histogram of visual words (Csurka et al. 2004, with Lowe's SIFT, IJCV 2004).

Detection and description are OpenCV's. The vocabulary is learned by k-means on descriptors of train.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.encoding.kernel_maps import explicit_map
from pipeline.encoding.vocabulary import learn_vocabulary, nearest_words
from pipeline.errors import PipelineError
from pipeline.features.base import Codebook, Context
from pipeline.parallel import slices, threads
from pipeline.randomness import generator
from pipeline.settings import Positive, Section

BATCH = 64
AUTO_SIDE = 96  # pixels: below this SIFT finds too few keypoints to describe a picture


class Settings(Section):
    """Parameters of detection, vocabulary and histogram."""

    words: Annotated[int, Field(ge=2)]
    sample: Positive
    upscale: Literal["auto"] | Annotated[float, Field(ge=1, le=8)]
    contrast_threshold: Annotated[float, Field(ge=0, lt=1)]
    weighting: Literal["tf", "tf-idf"]
    regions: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1)]
    map: Literal["none", "hellinger", "chi2"]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn the vocabulary from a sample of train's descriptors, and how rare each word is.

    Returns:
        words float32 (K, 128); idf float32 (K,), ones for "tf".

    Raises:
        PipelineError: train has fewer descriptors than words.
    """
    order = generator(context.seed, "sift_bow images").permutation(len(images))
    found: list[np.ndarray] = []
    total = 0
    for chunk in slices(len(order), BATCH * 8):
        for _, descriptors in _describe(images[np.sort(order[chunk])], settings, context):
            found.append(descriptors)
            total += len(descriptors)
        context.advance(chunk.stop - chunk.start)
        if total >= settings.sample:
            break
    if total < settings.words:
        raise PipelineError(
            f"`sift_bow.features.words` is {settings.words}, but the training images have {total} descriptors; "
            f"take at most {total} words, or lower `contrast_threshold`"
        )
    rows = generator(context.seed, "sift_bow descriptors").permutation(total)[: settings.sample]
    words = learn_vocabulary(np.concatenate(found)[np.sort(rows)], settings.words, context.seed)
    return {"words": words, "idf": _rarity(found, words, settings)}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Histograms of words over each region, mapped: float32 (N, words · Σ regions²), three times that for χ²."""
    out = np.zeros((len(images), settings.words * sum(grid * grid for grid in settings.regions)), np.float32)
    for row, (places, descriptors) in enumerate(_describe(images, settings, context)):
        if len(descriptors):
            words = nearest_words(descriptors, codebook["words"])
            out[row] = _histogram(words, places, codebook["idf"], settings.regions)
        context.advance(1)
    return explicit_map(out, settings.map)


def keypoints(image: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """SIFT of one image, uint8 (H, W, 3).

    Returns:
        places float32 (n, 2): x and y of each keypoint, as fractions of width and height;
        descriptors float32 (n, 128). n may be 0.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    side = min(grey.shape)
    factor = max(1.0, AUTO_SIDE / side) if settings.upscale == "auto" else settings.upscale
    if factor > 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    detector = cv2.SIFT.create(contrastThreshold=settings.contrast_threshold)
    points, descriptors = detector.detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    places = np.array([point.pt for point in points], np.float32)
    return places / np.array([grey.shape[1], grey.shape[0]], np.float32), descriptors


def _describe(images: np.ndarray, settings: Settings, context: Context) -> list[tuple[np.ndarray, np.ndarray]]:
    def work(part: slice) -> list[tuple[np.ndarray, np.ndarray]]:
        return [keypoints(image, settings) for image in images[part]]

    cv2.setNumThreads(1)  # our threads share the work; OpenCV's own would get in their way
    return [result for part in threads(work, slices(len(images), 16), context.workers) for result in part]


def _histogram(words: np.ndarray, places: np.ndarray, idf: np.ndarray, regions: list[int]) -> np.ndarray:
    """Weighted counts of words in each cell of each grid; the counts of a grid sum to 1."""
    parts = []
    for grid in regions:
        column, row = np.minimum((places * grid).astype(int), grid - 1).T
        cells = (row * grid + column) * len(idf) + words
        counts = np.bincount(cells, weights=idf[words], minlength=grid * grid * len(idf))
        parts.append(counts / max(counts.sum(), 1e-12))
    return np.concatenate(parts).astype(np.float32)


def _rarity(found: list[np.ndarray], words: np.ndarray, settings: Settings) -> np.ndarray:
    """Inverse document frequency, log(images / images with the word) + 1 (Salton; smoothed)."""
    if settings.weighting == "tf":
        return np.ones(len(words), np.float32)
    seen = np.zeros(len(words))
    for descriptors in found:
        if len(descriptors):
            seen[np.unique(nearest_words(descriptors, words))] += 1
    return np.asarray(np.log((1 + len(found)) / (1 + seen)) + 1, np.float32)
