"""How far the packing of a split has come: a record of each chunk, so that a killed run goes on after its last one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data import duplicates
from pipeline.errors import PipelineError
from pipeline.files import read_arrays, write_arrays

STAGE = "prepare"


@dataclass(frozen=True)
class Chunk:
    """What was learned while some images were written.

    Attributes:
        kept: int64 (n,), the images written, as indices into the part of the source.
        signatures: of these.
        blank: int64, those of them that show nothing.
        grey: whether all of them are grey.
        shape: of an image; () where none was written.
        bad: index → why an image was not read.
        mended: index → what was wrong with an image that was read all the same.
    """

    kept: np.ndarray
    signatures: duplicates.Signatures
    blank: np.ndarray
    grey: bool
    shape: tuple[int, ...]
    bad: dict[int, str]
    mended: dict[int, str]

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        text = json.dumps({"bad": list(self.bad.items()), "mended": list(self.mended.items())})
        write_arrays(
            path,
            kept=self.kept,
            content=self.signatures.content,
            perceptual=self.signatures.perceptual,
            thumbnails=self.signatures.thumbnails,
            blank=self.blank,
            grey=np.array(self.grey),
            shape=np.array(self.shape, np.int64),
            text=np.frombuffer(text.encode(), np.uint8),
        )

    @staticmethod
    def read(path: Path) -> Chunk:
        """As `write` left it.

        Raises:
            PipelineError: it is damaged.
        """
        found = read_arrays(path, STAGE)
        try:
            text = json.loads(found["text"].tobytes())
            signatures = duplicates.Signatures(found["content"], found["perceptual"], found["thumbnails"])
            shape = tuple(int(side) for side in found["shape"])
            return Chunk(
                found["kept"], signatures, found["blank"], bool(found["grey"]), shape, dict(text["bad"]),
                dict(text["mended"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise PipelineError(f"{path}: is of another version; rerun the stage {STAGE}") from error


def chunk_file(folder: Path, number: int) -> Path:
    """Where a chunk's record lies."""
    return folder / f"{number:07d}.npz"


def finished(folder: Path) -> list[Chunk]:
    """All chunks from the first on, up to one that is missing or damaged."""
    found: list[Chunk] = []
    while (path := chunk_file(folder, len(found))).is_file():
        try:
            found.append(Chunk.read(path))
        except PipelineError:
            break
    return found
