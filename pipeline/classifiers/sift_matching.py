"""Nearest neighbour by matched keypoints: an image belongs to the class whose examples share most of its keypoints.

For small sets: every image is matched with every example. Lowe (IJCV 2004) recognises objects in this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from pipeline.descriptors import keypoints
from pipeline.descriptors.drawing import Picture
from pipeline.descriptors.drawing import matched as matched_pair
from pipeline.descriptors.matching import FEWEST, Keypoints, ratio_matches, verified
from pipeline.errors import PipelineError
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.randomness import generator
from pipeline.settings import Fraction, Positive, Section
from pipeline.settings.methods import different

BATCH = 16

#: Descriptors and places in pixels of an image's keypoints.
Described = tuple[np.ndarray, np.ndarray]


class Settings(Section):
    """How keypoints are found, matched and verified. The ratio is chosen on val."""

    ratios: Annotated[list[Fraction], Field(min_length=1), AfterValidator(different)]
    examples: Positive
    pixels: Annotated[float, Field(gt=0)]
    upscale: Literal["auto"] | Annotated[float, Field(ge=1, le=8)]
    contrast_threshold: Annotated[float, Field(ge=0, lt=1)]
    most_pairs: Positive


def check_size(settings: Settings, classes: int, compared: int) -> None:
    """Refuse a set that would take hours.

    Args:
        compared: images that are compared with every example; one that is compared at several ratios counts as many.

    Raises:
        PipelineError: names how many examples a class would work.
    """
    pairs = compared * classes * settings.examples
    if pairs > settings.most_pairs:
        fitting = settings.most_pairs // (compared * classes)
        remedy = f"take at most {fitting}" if fitting else "this data set is too large for it"
        raise PipelineError(
            f"`sift_matching.examples` is {settings.examples}: {compared:,} images against {classes} classes make "
            f"{pairs:,} pairs, and `most_pairs` allows {settings.most_pairs:,}; {remedy}"
        )


def choose_examples(labels: np.ndarray, classes: int, count: int, seed: int) -> np.ndarray:
    """The same number of random training images of each class, sorted: int64 (at most classes · count,)."""
    order = generator(seed, "sift_matching examples").permutation(len(labels))
    chosen = [order[labels[order] == label][:count] for label in range(classes)]
    return np.sort(np.concatenate(chosen))


def describe(images: np.ndarray, settings: Settings, workers: int) -> list[Described]:
    """Keypoints of every image."""
    keypoints.keep_to_one_thread()
    size = np.array([images.shape[2], images.shape[1]], np.float32)

    def work(part: slice) -> list[Described]:
        found = [keypoints.describe(image, settings.upscale, settings.contrast_threshold) for image in images[part]]
        return [(descriptors, places * size) for descriptors, places in found]

    return [one for part in threads(work, slices(len(images), BATCH), workers) for one in part]


def draw_best(
    images: np.ndarray, queries: list[Described], examples: np.ndarray, gallery: Keypoints, settings: Settings
) -> Picture | None:
    """Of some images the one with the most verified matches, beside the example it matches; None if none matches."""
    best: tuple[int, int, int, np.ndarray, np.ndarray] | None = None
    for number, (descriptors, places) in enumerate(queries):
        matches = ratio_matches(descriptors, gallery, max(settings.ratios))
        example = int((matches >= 0).sum(axis=1).argmax())
        matched = np.flatnonzero(matches[example] >= 0)
        target = gallery.places[matches[example][matched]]
        agreed = verified(places[matched], target, settings.pixels)
        if best is None or agreed.sum() > best[0]:
            best = int(agreed.sum()), number, example, np.stack([places[matched], target]), agreed
    if best is None or best[0] == 0:
        return None
    count, number, example, ends, agreed = best
    caption = (
        f"A val image and the training image it matches best: {count} matches of keypoints agree on one rotation, "
    )
    caption += f"scale and shift (orange), {int((~agreed).sum())} don't (grey)."
    return Picture(caption, matched_pair(images[number], examples[example], ends[0], ends[1], agreed, 320))


def score(
    queries: list[Described],
    gallery: Keypoints,
    labels: np.ndarray,
    classes: int,
    ratio: float,
    pixels: float,
    workers: int,
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Verified matches with the best example of each class, ties broken by the class's share of all matches.

    Args:
        queries: what describe gives.
        gallery: keypoints of the examples.
        labels: int (examples,).
        classes: how many there are.
        ratio, pixels: see ratio_matches and verified.
        workers: threads.
        advance: called with the number of images done.

    Returns:
        float32 (N, classes).
    """

    def work(query: Described) -> np.ndarray:
        descriptors, places = query
        matches = ratio_matches(descriptors, gallery, ratio)
        found = np.zeros(classes, np.float32)
        total = np.zeros(classes)
        for example, row in enumerate(matches):
            matched = row >= 0
            count = int(matched.sum())
            total[labels[example]] += count
            # RANSAC only where it could still find more than the class has.
            if count >= FEWEST and count > found[labels[example]]:
                agreed = verified(places[matched], gallery.places[row[matched]], pixels)
                found[labels[example]] = max(found[labels[example]], agreed.sum())
        return found + (total / max(total.sum(), 1) * 0.999).astype(np.float32)

    scores = np.zeros((len(queries), classes), np.float32)
    with one_blas_thread():
        for row, values in enumerate(threads(work, queries, workers)):
            scores[row] = values
            advance(1)
    return scores
