"""Gabor filters → mean and deviation of their magnitudes (Manjunath & Ma, PAMI 1996), over regions.

An even and an odd filter of the same wavelength and direction together give a magnitude that doesn't depend on where
exactly a stripe lies.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from pipeline.context import Codebook, Context
from pipeline.descriptors.dense_sift import to_grey
from pipeline.descriptors.drawing import Picture, directions_on, filters, tiles
from pipeline.descriptors.filter_banks import GABOR_ORIENTATIONS, gabor_bank, odd, responses
from pipeline.encoding.regions import Grid, Regions, regions
from pipeline.errors import PipelineError
from pipeline.parallel import slices
from pipeline.settings import Positive, Section

BATCH = 128
AUTO_WAVELENGTHS = (3.0, 4.2, 6.0, 8.5, 12.0)


class Settings(Section):
    """The bank and what is kept of its responses."""

    wavelengths: Literal["auto"] | Annotated[list[Annotated[float, Field(ge=2, le=256)]], Field(min_length=1)]
    step: Positive
    regions: Annotated[list[Grid], Field(min_length=1)]

    def bank(self, shape: tuple[int, ...]) -> np.ndarray:
        """The filters for images of a shape (N, H, W, …); `auto` takes the wavelengths that fit.

        Raises:
            PipelineError: a wavelength is longer than half of the image's side.
        """
        longest = min(shape[1:3]) / 2
        wavelengths = list(AUTO_WAVELENGTHS) if self.wavelengths == "auto" else self.wavelengths
        fitting = [wavelength for wavelength in wavelengths if wavelength <= longest]
        if not fitting or (self.wavelengths != "auto" and len(fitting) < len(wavelengths)):
            raise PipelineError(
                f"`gabor.features.wavelengths` has {max(wavelengths):g}, but images have {shape[2]}×{shape[1]} pixels; "
                f"the longest that works is {longest:g}"
            )
        return gabor_bank(fitting, odd(min(shape[1:3])))


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Nothing is learned; only checks that the filters fit the images."""
    settings.bank(images.shape)
    return {}


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """Square roots of means and deviations of magnitudes: float32 (N, R · 2 · wavelengths · 6)."""
    bank, over = settings.bank(images.shape), regions(settings.regions)
    out = []
    for part in slices(len(images), BATCH):
        out.append(_pooled(_magnitudes(images[part], bank, settings.step), over))
        context.advance(part.stop - part.start)
    return np.concatenate(out)


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """The strongest direction at each place, and the even filters."""
    bank = settings.bank(images.shape)
    found = _magnitudes(images[:6], bank, settings.step)
    by_direction = found.unflatten(1, (-1, GABOR_ORIENTATIONS)).sum(1).flatten(2).numpy()
    places = _places(*found.shape[2:])
    drawn = [
        directions_on(image, strengths.argmax(0) / GABOR_ORIENTATIONS, strengths.max(0), places, 160)
        for image, strengths in zip(images[:6], by_direction, strict=True)
    ]
    directions = Picture(
        "Images and their stripes and edges: the colour is the direction in which the filters of all wavelengths "
        "answer most strongly, the brightness how strongly.",
        tiles(drawn, 3),
    )
    caption = (
        "The bank of Gabor filters, a row for each wavelength, a column for each direction (the even ones; each has "
    )
    caption += "an odd partner a quarter of a wave further)."
    return [directions, Picture(caption, filters(bank[0::2], GABOR_ORIENTATIONS))]


def _magnitudes(images: np.ndarray, bank: np.ndarray, step: int) -> torch.Tensor:
    """Of the pairs of an even and an odd filter: float32 (n, wavelengths · 6, h, w)."""
    grey = torch.from_numpy(to_grey(images) / np.float32(255))
    found = responses(grey, bank, step)
    return torch.hypot(found[:, 0::2], found[:, 1::2])


def _places(height: int, width: int) -> np.ndarray:
    """Middles of the places of h × w responses, row by row: float64 (h · w, 2), x and y in 0…1."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1)


def _pooled(magnitudes: torch.Tensor, over: Regions) -> np.ndarray:
    """Mean and deviation in every region: (N, F, h, w) → (N, R · 2 · F); the root evens out rare strong responses."""
    cells = over.cells(_places(*magnitudes.shape[2:]))
    flat = magnitudes.flatten(2).numpy()
    parts = []
    for members in over.members:
        inside = flat[:, :, members[cells]]
        parts += [inside.mean(axis=2), inside.std(axis=2)]
    return np.sqrt(np.concatenate(parts, axis=1))
