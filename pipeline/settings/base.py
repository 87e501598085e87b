"""What all settings are made of."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

BUDGETS = ("demo", "standard", "paper")
Budget = Literal["demo", "standard", "paper"]


class Section(BaseModel):
    """A mapping in params.yaml: no unknown keys, no silent conversion of types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SectionType = TypeVar("SectionType", bound=Section)
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Dial = Annotated[float, Field(ge=0, le=1)]
