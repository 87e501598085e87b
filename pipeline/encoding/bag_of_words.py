"""Bags of visual words (Csurka et al. 2004) over regions (spatial pyramids: Lazebnik, Schmid & Ponce, CVPR 2006).

hard: a descriptor votes for its nearest word. soft: for its nearest few, by exp(−β |x − word|²), votes summing to 1
(van Gemert et al., PAMI 2010; restricted to the nearest as by Liu, Wang & Liu, ICCV 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.compiled import compiled
from pipeline.context import Codebook, Context
from pipeline.encoding.follow import as_many_as
from pipeline.encoding.kernel_maps import explicit_map
from pipeline.encoding.kmeans import inertia, k_means
from pipeline.encoding.regions import Grid, Regions, regions
from pipeline.settings import Positive, Section

ROWS = 512  # descriptors whose distances to all words are at hand at once


class WordsSettings(Section):
    """From local descriptors to a histogram."""

    words: Annotated[int, Field(ge=2)]
    sample: Positive
    neighbours: Positive
    weighting: Literal["tf", "tf-idf"]
    regions: Annotated[list[Grid], Field(min_length=1)]
    map: Literal["none", "hellinger", "chi2"]


def learn_words(found: np.ndarray, settings: WordsSettings, context: Context, key: str) -> Codebook:
    """The vocabulary: k-means centres of a sample of train's descriptors, and how sharp soft votes are.

    Returns:
        words float32 (K, D), fewer than `words` where there are few descriptors; beta, the inverse of the mean
        squared distance to the nearest word.

    Raises:
        PipelineError: `sample` is smaller than the number of words.
    """
    count = as_many_as(settings.words, len(found), settings.sample, f"{key}.features.words")
    words = k_means(found, count, context.seed, passes=context.passes)
    spread = inertia(found, words, context.passes) / len(found)
    return {"words": words, "beta": np.array(1 / max(spread, 1e-12), np.float32)}


@dataclass(frozen=True)
class WordCounter:
    """Counts the words of images; make one and use it in many threads."""

    words: np.ndarray
    beta: float
    neighbours: int
    regions: Regions

    @staticmethod
    def of(codebook: Codebook, settings: WordsSettings) -> WordCounter:
        """From what learn_words gives."""
        neighbours = min(settings.neighbours, len(codebook["words"]))
        return WordCounter(codebook["words"], float(codebook["beta"]), neighbours, regions(settings.regions))

    def count(self, descriptors: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Votes for each word in each region.

        Args:
            descriptors: float32 (T, D); T may be 0.
            places: float32 (T, 2), x and y in 0…1.

        Returns:
            float32 (R, K); the votes of a whole grid of regions sum to T.
        """
        cells = np.zeros((self.regions.members.shape[1], len(self.words)), np.float32)
        transposed = np.ascontiguousarray(self.words.T)
        half_squares = 0.5 * np.einsum("kd,kd->k", self.words, self.words)
        where = self.regions.cells(places)
        for start in range(0, len(descriptors), ROWS):
            rows = descriptors[start : start + ROWS]
            # ½|x − w|² = ½|x|² − (x·w − ½|w|²); what is left out is the same for all words.
            closeness = rows @ transposed
            closeness -= half_squares
            if self.neighbours == 1:
                np.add.at(cells, (where[start : start + ROWS], closeness.argmax(axis=1)), 1)
            else:
                _vote(closeness, where[start : start + ROWS], 2 * self.beta, self.neighbours, cells)
        return np.asarray(self.regions.members.astype(np.float32) @ cells)


@compiled()
def _vote(closeness: np.ndarray, where: np.ndarray, sharpness: float, neighbours: int, cells: np.ndarray) -> None:
    """Soft votes: the nearest words are found by insertion, since they are few."""
    best = np.empty(neighbours, np.float32)
    index = np.empty(neighbours, np.int64)
    for n in range(len(closeness)):
        best[:] = -np.inf
        for k in range(closeness.shape[1]):
            value = closeness[n, k]
            if value > best[neighbours - 1]:
                place = neighbours - 1
                while place > 0 and best[place - 1] < value:
                    best[place], index[place] = best[place - 1], index[place - 1]
                    place -= 1
                best[place], index[place] = value, k
        total = 0.0
        for i in range(neighbours):
            total += np.exp(sharpness * (best[i] - best[0]))
        for i in range(neighbours):
            cells[where[n], index[i]] += np.exp(sharpness * (best[i] - best[0])) / total


def rarity(votes: np.ndarray, weighting: str) -> np.ndarray:
    """Inverse document frequency, log(images / images with the word) + 1 (smoothed); ones for "tf".

    Args:
        votes: float32 (N, K), of whole images.
        weighting: "tf" or "tf-idf".
    """
    if weighting == "tf":
        return np.ones(votes.shape[1], np.float32)
    seen = (votes > 0).sum(axis=0)
    return np.asarray(np.log((1 + len(votes)) / (1 + seen)) + 1, np.float32)


def histograms(votes: np.ndarray, idf: np.ndarray, grids: int, kernel: str) -> np.ndarray:
    """Weighted votes, mapped: float32 (N, R, K) → (N, R · K), or three times that for χ².

    Everything is divided by the whole image's votes, so that those of a grid of regions sum to 1 and a region with
    few votes stays small.
    """
    weighted = votes * idf
    weighted *= grids / np.maximum(weighted.sum(axis=(1, 2), keepdims=True), 1e-12)
    return explicit_map(weighted.reshape(len(votes), -1), kernel)
