"""Where weights that somebody else trained come from, and what they have seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.settings.base import Section


class Weights(Section):
    """A file of weights, its origin, and what is known of it.

    `package`: the Python package that brings the file along; else the file lies in weights/, where it is fetched to
    from `url`. `file` may also be the name of a folder there: a network of an earlier run, copied from models/.
    `sha256`: all of its digits or at least the first eight, which publishers write into files' names; of a folder
    those of its arrays.safetensors. `licence`: null, where it is not known. `saw`: the data sets of params.yaml whose
    images were, all or in part, among those that the weights learned from.
    """

    package: str | None
    url: str | None
    file: Annotated[str, Field(pattern=r"^[^./\\][^/\\]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    licence: str | None
    citation: str
    learned_from: str
    saw: list[str]

    @model_validator(mode="after")
    def _one_origin(self) -> Weights:
        if self.package is not None and self.url is not None:
            raise ValueError("`package` and `url` are two origins of one file: give one of them, or neither (null)")
        return self
