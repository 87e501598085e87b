"""SIFT at its own keypoints (Lowe, IJCV 2004), detected and described by OpenCV."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from pipeline.context import Context
from pipeline.parallel import slices, threads
from pipeline.randomness import generator

AUTO_SIDE = 96  # pixels: below this SIFT finds too few keypoints to describe a picture
BATCH = 16


def keep_to_one_thread() -> None:
    """Our threads share the work; OpenCV's own would get in their way."""
    cv2.setNumThreads(1)


def describe(
    image: np.ndarray, upscale: Literal["auto"] | float, contrast_threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """SIFT of one image.

    Args:
        image: uint8 (H, W, 3).
        upscale: enlarge the image first; auto: to a side of at least AUTO_SIDE.
        contrast_threshold: OpenCV's; lower finds more keypoints.

    Returns:
        descriptors float32 (n, 128), as OpenCV scales them; places float32 (n, 2): x and y of each keypoint, as
        fractions of width and height. n may be 0.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = max(1.0, AUTO_SIDE / min(grey.shape)) if upscale == "auto" else upscale
    if factor > 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    detector = cv2.SIFT.create(contrastThreshold=contrast_threshold)
    points, descriptors = detector.detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 128), np.float32), np.empty((0, 2), np.float32)
    places = np.array([point.pt for point in points], np.float32)
    return descriptors, places / np.array([grey.shape[1], grey.shape[0]], np.float32)


def sample(
    images: np.ndarray,
    upscale: Literal["auto"] | float,
    contrast_threshold: float,
    count: int,
    context: Context,
    key: str,
) -> np.ndarray:
    """Descriptors of random images until there are enough: float32 (M, 128), M ≤ count."""
    keep_to_one_thread()
    order = generator(context.seed, f"{key} images").permutation(len(images))

    def work(part: slice) -> np.ndarray:
        return np.concatenate([describe(image, upscale, contrast_threshold)[0] for image in images[order[part]]])

    found, total = [], 0
    for part, descriptors in zip(
        slices(len(order), BATCH), threads(work, slices(len(order), BATCH), context.workers), strict=False
    ):
        found.append(descriptors)
        total += len(descriptors)
        context.advance(part.stop - part.start)
        if total >= count:
            break
    rows = generator(context.seed, f"{key} descriptors").permutation(total)[:count]
    return np.concatenate(found)[np.sort(rows)]
