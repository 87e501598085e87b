"""From how many images on: which methods learn from how many images, how often."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.settings.base import Fraction, Positive, Section

Seed = Annotated[int, Field(ge=0)]
FEWEST = 2  # images of each class: one for train, one for val


class Repeats(Section):
    """From `images` images on, a method learns from so many `seeds`, which are 0, 1, 2 and so on."""

    images: Positive
    seeds: Positive


class Curve(Section):
    """The learning curves.

    `sizes`: numbers of labelled images, train and val together; a number: so many sizes, evenly spread on a logarithmic
    axis; auto: each about three times the one before; [] none. `seeds`: a list, or how many at which number of images.
    `val_fraction`: the share of them that is val, in each class.
    """

    methods: list[str]
    sizes: Literal["auto"] | Annotated[int, Field(ge=2, le=50)] | list[Positive]
    seeds: Annotated[list[Seed], Field(min_length=1)] | Annotated[list[Repeats], Field(min_length=1)]
    val_fraction: Fraction

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, sizes: str | int | list[int]) -> str | int | list[int]:
        if isinstance(sizes, list) and any(one >= two for one, two in pairwise(sizes)):
            raise ValueError(f"{sizes} does not ascend; name each size once, the smallest first")
        return sizes

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: list[int] | list[Repeats]) -> list[int] | list[Repeats]:
        repeats = [one for one in seeds if isinstance(one, Repeats)]
        if repeats and any(one.images >= two.images for one, two in pairwise(repeats)):
            raise ValueError("`images` does not ascend; begin with the smallest number of images")
        twice = [seed for seed, count in Counter(one for one in seeds if isinstance(one, int)).items() if count > 1]
        if twice:
            raise ValueError(f"{seeds} names {twice[0]} twice; name each seed once")
        return seeds

    def seeds_at(self, size: int) -> list[int]:
        """The seeds from which a method learns from so many images."""
        found: list[int] = []
        for one in self.seeds:
            if isinstance(one, int):
                found.append(one)
            elif one.images <= size or not found:
                found = list(range(one.seeds))
        return found
