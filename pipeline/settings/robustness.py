"""What breaks fitted models: which changes of the test images, how strong, on how many of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from pipeline.settings.base import Section

Severity = Annotated[int, Field(ge=1, le=5)]


class Robustness(Section):
    """Changed test images that every fitted model is shown; nothing is fitted or chosen on them.

    `sample`: how many test images, drawn by class; 0: none, and nothing is measured. `severities`: of each change.
    `changes`: names of changes, or of groups of them. `reference`: the method by whose errors others' mean corruption
    errors are divided; null: there is none.
    """

    sample: Annotated[int, Field(ge=0)]
    severities: Annotated[list[Severity], Field(min_length=1)]
    changes: Annotated[list[str], Field(min_length=1)]
    reference: str | None

    @field_validator("severities")
    @classmethod
    def _ascending(cls, severities: list[int]) -> list[int]:
        if any(one >= two for one, two in pairwise(severities)):
            raise ValueError(f"{severities} does not ascend; name each severity once, the smallest first")
        return severities
