"""Sparse matching of SIFT keypoints between images (Lowe, IJCV 2004, section 7).

A keypoint matches its nearest neighbour in the other image if that is clearly nearer than the second nearest. The
matches that then agree on one rotation, scale and shift, found by RANSAC, are verified.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.compiled import compiled

FEWEST = 3  # matches that a rotation, scale and shift can be checked with: two fix it, one more confirms it


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of several images, one image after the other.

    Attributes:
        descriptors: float32 (M, 128).
        places: float32 (M, 2), x and y in pixels.
        bounds: int64 (images + 1,), where each image's keypoints begin.
    """

    descriptors: np.ndarray
    places: np.ndarray
    bounds: np.ndarray

    @staticmethod
    def of(found: list[tuple[np.ndarray, np.ndarray]]) -> Keypoints:
        """Stack what each image has: descriptors (n, 128) and places (n, 2)."""
        bounds = np.cumsum([0, *(len(descriptors) for descriptors, _ in found)])
        descriptors, places = (np.concatenate(arrays).astype(np.float32) for arrays in zip(*found, strict=True))
        return Keypoints(descriptors, places, bounds)


def ratio_matches(query: np.ndarray, gallery: Keypoints, ratio: float) -> np.ndarray:
    """Matches of one image's keypoints in every image of the gallery.

    Args:
        query: float32 (n, 128).
        gallery: G images.
        ratio: nearest distance / second nearest distance must be below it.

    Returns:
        int64 (G, n): the matching keypoint in the gallery, −1 for none. An image with one keypoint has no second
        nearest, and matches nothing.
    """
    out = np.full((len(gallery.bounds) - 1, len(query)), -1, np.int64)
    if len(query) and len(gallery.descriptors):
        squares = np.einsum("nd,nd->n", gallery.descriptors, gallery.descriptors)
        own = np.einsum("nd,nd->n", query, query)
        distances = own[:, None] + squares[None, :] - 2 * (query @ gallery.descriptors.T)
        _best_two(np.maximum(distances, 0), gallery.bounds, np.float32(ratio * ratio), out)
    return out


def verified(source: np.ndarray, target: np.ndarray, pixels: float) -> np.ndarray:
    """Which matches agree on one rotation, scale and shift.

    Args:
        source, target: float32 (n, 2), places of the matching keypoints.
        pixels: how far from its predicted place a keypoint may lie.

    Returns:
        bool (n,); all False where no three agree.
    """
    nothing = np.zeros(len(source), bool)
    if len(source) < FEWEST:
        return nothing
    _, inliers = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=pixels)
    if inliers is None or inliers.sum() < FEWEST:
        return nothing
    return np.asarray(inliers[:, 0] > 0)


@compiled()
def _best_two(distances: np.ndarray, bounds: np.ndarray, limit: float | np.float32, out: np.ndarray) -> None:
    """The ratio test in every image of the gallery, on squared distances."""
    for image in range(len(out)):
        first, past = bounds[image], bounds[image + 1]
        if past - first < 2:
            continue
        for n in range(len(distances)):
            best, second, place = np.inf, np.inf, -1
            for m in range(first, past):
                value = distances[n, m]
                if value < best:
                    best, second, place = value, best, m
                elif value < second:
                    second = value
            if best < limit * second:
                out[image, n] = place
