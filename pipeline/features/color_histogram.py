"""Joint colour histograms for batches of images (Swain & Ballard, IJCV 1991). Ignores texture and position."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.compiled import compiled
from pipeline.context import Codebook, Context
from pipeline.encoding.kernel_maps import explicit_map
from pipeline.parallel import slices, threads
from pipeline.settings import Section

BATCH = 1024
HUES = 180  # OpenCV's hue of bytes: half degrees


class Settings(Section):
    """Parameters of the histogram."""

    space: Literal["rgb", "hsv"]
    bins: Annotated[list[Annotated[int, Field(ge=1, le=32)]], Field(min_length=3, max_length=3)]
    map: Literal["none", "hellinger", "chi2"]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Nothing is learned."""
    return {}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Histograms with sum 1, then the explicit map of the chosen kernel."""
    counts = color_histogram(images, settings.bins, settings.space, context.workers)
    return explicit_map(counts / np.float32(images.shape[1] * images.shape[2]), settings.map)


def color_histogram(images: np.ndarray, bins: list[int], space: str = "rgb", workers: int = 1) -> np.ndarray:
    """Count pixels by colour, exactly as cv2.calcHist over three channels (ranges 0-256; hue 0-180).

    Args:
        images: uint8 (N, H, W, 3), RGB.
        bins: number of bins of each channel; their product is at most 65,536.
        space: "rgb" or "hsv" (OpenCV's bytes).
        workers: threads.

    Returns:
        float32 (N, bins[0] · bins[1] · bins[2]), last channel fastest; each row sums to H · W.
    """
    pixels = images.shape[1] * images.shape[2]
    out = np.empty((len(images), bins[0] * bins[1] * bins[2]), np.float32)
    ranges = np.array([HUES if space == "hsv" else 256, 256, 256], np.float32)

    def work(part: slice) -> None:
        batch = np.ascontiguousarray(images[part]).reshape(-1, pixels, 3)
        if space == "hsv":
            batch = cv2.cvtColor(batch, cv2.COLOR_RGB2HSV)
        _count(batch.reshape(len(batch), -1), np.array(bins, np.float32), ranges, out[part])

    list(threads(work, slices(len(images), BATCH), workers))
    return out


@compiled()
def _count(images: np.ndarray, bins: np.ndarray, ranges: np.ndarray, out: np.ndarray) -> None:
    """images: uint8 (N, 3·P), interleaved.

    Bins are found in float32: all numbers are small integers, so floor(value · bins / range) is exact, and unlike
    integers of mixed widths it becomes vector instructions.
    """
    count, length = images.shape
    size = out.shape[1]
    pixels = length // 3
    whole = pixels // 4 * 4
    b0, b1, b2 = bins[0], bins[1], bins[2]
    r0, r1, r2 = ranges[0], ranges[1], ranges[2]
    index = np.empty(pixels, np.uint16)
    # Four sets of counters: neighbouring pixels often share a bin, and one set would have to wait for itself.
    c0, c1 = np.empty(size, np.uint32), np.empty(size, np.uint32)
    c2, c3 = np.empty(size, np.uint32), np.empty(size, np.uint32)
    one = np.uint32(1)
    for n in range(count):
        image = images[n]
        for p in range(pixels):
            first = np.floor(np.float32(image[3 * p]) * b0 / r0)
            second = np.floor(np.float32(image[3 * p + 1]) * b1 / r1)
            third = np.floor(np.float32(image[3 * p + 2]) * b2 / r2)
            index[p] = np.uint16(np.int32((first * b1 + second) * b2 + third))
        c0[:], c1[:], c2[:], c3[:] = 0, 0, 0, 0
        for p in range(0, whole, 4):
            c0[index[p]] += one
            c1[index[p + 1]] += one
            c2[index[p + 2]] += one
            c3[index[p + 3]] += one
        for p in range(whole, pixels):
            c0[index[p]] += one
        for b in range(size):
            out[n, b] = np.float32(c0[b] + c1[b] + c2[b] + c3[b])
