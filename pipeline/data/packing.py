"""Source → data/: images streamed into packed arrays, with signatures taken on the way."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data import duplicates
from pipeline.data.blank import blank
from pipeline.data.contract import ImageWriter
from pipeline.data.sources.base import Source
from pipeline.data.splits import Assignment
from pipeline.files import atomic, write_json
from pipeline.parallel import slices

CHUNK = 512


@dataclass
class Packed:
    """One split on disk, and what was learned while writing it.

    Attributes:
        skipped: names of unreadable images, and why.
        mended: what was wrong with files that were read all the same, and how many.
        blank: names of images that show nothing.
    """

    labels: np.ndarray
    ids: list[str]
    signatures: duplicates.Signatures
    grey: bool
    shape: tuple[int, ...]
    skipped: list[dict[str, str]]
    mended: Counter[str]
    blank: list[str]


def pack(source: Source, assignment: Assignment, folder: Path, advance: Callable[[int], None]) -> Packed:
    """Write one split's images.npy, chunk by chunk; memory stays flat however many images there are."""
    part = source.parts[assignment.part]
    kept: list[np.ndarray] = []
    signatures: list[duplicates.Signatures] = []
    skipped: list[dict[str, str]] = []
    mended: Counter[str] = Counter()
    empty: list[str] = []
    grey = True
    with ImageWriter(folder / "images.npy") as writer:
        for chunk in slices(len(assignment.indices), CHUNK):
            indices = assignment.indices[chunk]
            batch = part.read(indices)
            writer.append(batch.images)
            bad = np.isin(np.arange(len(indices)), list(batch.bad))
            skipped += [{"id": part.ids[int(indices[at])], "reason": reason} for at, reason in batch.bad.items()]
            mended.update(batch.mended.values())
            kept.append(indices[~bad])
            if len(batch.images):
                empty += [part.ids[int(index)] for index in indices[~bad][blank(batch.images)]]
                signatures.append(duplicates.sign(batch.images))
                grey = grey and is_grey(batch.images)
            advance(len(indices))
    chosen = np.concatenate(kept) if kept else np.empty(0, np.int64)
    ids = [part.ids[int(index)] for index in chosen]
    signed = duplicates.join(signatures) if signatures else duplicates.sign(np.zeros((1, 8, 8, 3), np.uint8))
    return Packed(part.labels[chosen], ids, signed, grey, writer.shape or (0, 0, 3), skipped, mended, empty)


def is_grey(images: np.ndarray) -> bool:
    """Whether red, green and blue are the same everywhere, uint8 (N, H, W, 3)."""
    return bool((images[..., 0] == images[..., 1]).all() and (images[..., 1] == images[..., 2]).all())


def drop(packed: Packed, rows: set[int], folder: Path) -> Packed:
    """Remove rows from a packed split, streaming into a new images.npy."""
    keep = np.array([row not in rows for row in range(len(packed.ids))])
    old = np.load(folder / "images.npy", mmap_mode="r")
    with ImageWriter(folder / "images.new.npy") as writer:
        for chunk in slices(len(old), CHUNK):
            writer.append(old[chunk][keep[chunk]])
    shutil.move(folder / "images.new.npy", folder / "images.npy")
    signed = packed.signatures
    return Packed(
        packed.labels[keep],
        [name for name, stays in zip(packed.ids, keep, strict=True) if stays],
        duplicates.Signatures(signed.content[keep], signed.perceptual[keep], signed.thumbnails[keep]),
        packed.grey,
        packed.shape,
        packed.skipped,
        packed.mended,
        packed.blank,
    )


def finish(packed: Packed, folder: Path) -> None:
    """Write labels and ids beside the images."""
    with atomic(folder / "labels.npy") as file:
        np.save(file, packed.labels.astype(np.int64))
    write_json(folder / "ids.json", packed.ids)


def fingerprint(packed: Packed) -> str:
    """Identifies a split: every pixel, label and name, in order."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(packed.signatures.content.tobytes())
    digest.update(packed.labels.astype("<i8").tobytes())
    digest.update("\0".join(packed.ids).encode())
    return digest.hexdigest()
