"""Leung & Malik's filters → textons → histogram (Leung & Malik, IJCV 2001; Varma & Zisserman, IJCV 2005).

Each place of an image has a vector of 48 responses. k-means on those of train gives the textons; an image is described
by how often each occurs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from pipeline.context import Codebook, Context
from pipeline.descriptors.dense_sift import to_grey
from pipeline.descriptors.drawing import Picture, filters, tiles, words_on
from pipeline.descriptors.filter_banks import LM_SUPPORT, leung_malik_bank, odd, responses
from pipeline.encoding.bag_of_words import WordCounter, WordsSettings, histograms, learn_words, rarity
from pipeline.encoding.kmeans import nearest
from pipeline.encoding.sampling import sample_descriptors
from pipeline.errors import PipelineError
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.settings import Positive

BATCH = 64
WEBER = 0.03  # contrast at which normalisation turns from linear to logarithmic (Varma & Zisserman, section 3)


class Settings(WordsSettings):
    """The bank, and how its textons are counted. `support`: the filters' side in pixels, 49 as published."""

    support: Literal["auto"] | Positive
    step: Positive

    def bank(self, shape: tuple[int, ...]) -> np.ndarray:
        """The filters for images of a shape (N, H, W, …); `auto`: at most half of the image's side, and 49.

        Raises:
            PipelineError: the support is even, or larger than the image.
        """
        side = min(shape[1:3])
        if self.support == "auto":
            return leung_malik_bank(min(LM_SUPPORT, max(odd(side / 2), 9)))
        if self.support % 2 == 0 or not 5 <= self.support <= odd(side):
            raise PipelineError(
                f"`textons.features.support` is {self.support}, but must be odd, at least 5, and for images of "
                f"{shape[2]}×{shape[1]} pixels at most {odd(side)}; the nearest that works is "
                f"{min(max(odd(self.support + 1), 5), odd(side))}"
            )
        return leung_malik_bank(self.support)


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn the textons from responses at a sample of places.

    Returns:
        words float32 (K, 48), beta, idf float32 (K,).
    """
    bank = settings.bank(images.shape)
    found, _ = sample_descriptors(
        images,
        lambda batch: _describe(batch, bank, settings.step),
        _places(images.shape, settings.step),
        settings.sample,
        context,
        "textons",
    )
    codebook = learn_words(found, settings, context, "textons")
    some = images[:: max(1, len(images) // 2000)] if settings.weighting == "tf-idf" else images[:1]
    return codebook | {"idf": rarity(_votes(some, settings, codebook, context).max(axis=1), settings.weighting)}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Histograms of textons over each region, mapped: float32 (N, R · K), three times that for χ²."""
    votes = _votes(images, settings, codebook, context)
    return histograms(votes, codebook["idf"], len(settings.regions), settings.map)


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """The bank, and where in some images each texton lies."""
    bank = settings.bank(images.shape)
    caption = "Leung and Malik's 48 filters: edges and bars at three scales and six directions, spots, rings."
    places = _places(images.shape, settings.step)
    maps = [
        words_on(image, nearest(descriptors, codebook["words"])[0], places, 120)
        for image, descriptors in zip(images[:6], _describe(images[:6], bank, settings.step), strict=True)
    ]
    return [
        Picture(caption, filters(bank, 12)),
        Picture("Images and their textons: a colour for each word of the texture vocabulary.", tiles(maps, 3)),
    ]


def _votes(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    bank, places = settings.bank(images.shape), _places(images.shape, settings.step)
    counter = WordCounter.of(codebook, settings)
    votes = []
    for part in slices(len(images), BATCH):
        found = _describe(images[part], bank, settings.step)
        with one_blas_thread():
            votes += list(threads(lambda descriptors: counter.count(descriptors, places), found, context.workers))
    return np.stack(votes)


def _describe(images: np.ndarray, bank: np.ndarray, step: int) -> np.ndarray:
    """Responses at every place, normalised by Weber's law: float32 (n, places, 48).

    An image is first brought to zero mean and unit deviation, so that neither lighting nor contrast counts.
    """
    grey = torch.from_numpy(to_grey(images))
    mean, deviation = grey.mean(dim=(1, 2), keepdim=True), grey.std(dim=(1, 2), keepdim=True)
    found = responses((grey - mean) / deviation.clamp(min=1), bank, step).flatten(2).transpose(1, 2)
    length = found.norm(dim=2, keepdim=True)
    return (found * torch.log1p(length / WEBER) / length.clamp(min=1e-12)).contiguous().numpy()


def _places(shape: tuple[int, ...], step: int) -> np.ndarray:
    """Where responses are taken: float32 (P, 2), x and y in 0…1."""
    height, width = shape[1:3]
    y, x = np.meshgrid(np.arange(0, height, step), np.arange(0, width, step), indexing="ij")
    return np.stack([(x.ravel() + 0.5) / width, (y.ravel() + 0.5) / height], axis=1).astype(np.float32)
