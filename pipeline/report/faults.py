"""A file that can't be used costs the page what would have been made from it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import progress
from pipeline.errors import PipelineError


class Faults:
    """Sentences on what is left out, for the page and for the terminal."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Leave out what is made inside if a file is at fault."""
        try:
            yield
        except PipelineError as error:
            self.sentences.append(str(error))
            progress.say(f"left out of the report: {error}")
