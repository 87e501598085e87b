"""Source → data/: images streamed into packed arrays, with signatures taken on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data import duplicates
from pipeline.data.blank import blank
from pipeline.data.contract import ImageWriter
from pipeline.data.packed_chunks import Chunk, chunk_file, finished
from pipeline.data.sources.base import Part, Source
from pipeline.data.splits import Assignment
from pipeline.files import atomic, write_json
from pipeline.parallel import slices

CHUNK = 512
PACKED, RECORDS = "packed.npy", "chunks"  # all images of the source's part, and what is known of each chunk of them
IMAGES = "images.npy"  # those that stay


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
    """Write one split's images, chunk by chunk; memory stays flat however many there are.

    A run that was killed in the same folder goes on after its last chunk.
    """
    part = source.parts[assignment.part]
    path, records = folder / PACKED, folder / RECORDS
    (folder / IMAGES).unlink(missing_ok=True)  # of a run that was killed while it took twins out
    chunks = _usable(finished(records), assignment.indices, part) if path.is_file() else []
    if chunks and path.stat().st_size < ImageWriter.size(*_written(chunks)):  # the system went down with the process
        chunks = []
    for stale in set(records.glob("*.npz")) - {chunk_file(records, number) for number in range(len(chunks))}:
        stale.unlink()  # it tells of images that are written anew
    with ImageWriter(path, *_written(chunks)) as writer:
        for number, rows in enumerate(slices(len(assignment.indices), CHUNK)):
            indices = assignment.indices[rows]
            if number >= len(chunks):
                chunks.append(_pack_chunk(part, indices, writer))
                writer.flush()
                chunks[-1].write(chunk_file(records, number))
            advance(len(indices))
    return _packed(part, chunks, writer.shape or (0, 0, 3))


def _usable(chunks: list[Chunk], indices: np.ndarray, part: Part) -> list[Chunk]:
    """Those of a killed run, up to the first that is of other images, or lacks one that can be read now.

    What could not be read is tried again: a package was installed, or a permission given, which no file's time tells.
    """
    found = []
    for chunk, rows in zip(chunks, slices(len(indices), CHUNK), strict=False):
        bad = np.array(list(chunk.bad), np.int64)
        if not np.array_equal(chunk.kept, indices[rows][~np.isin(indices[rows], bad)]):
            break
        if len(bad) and len(part.read(bad).images):
            break
        found.append(chunk)
    return found


def _written(chunks: list[Chunk]) -> tuple[int, tuple[int, ...] | None]:
    """How many images, of which shape."""
    return sum(len(chunk.kept) for chunk in chunks), next((chunk.shape for chunk in chunks if chunk.shape), None)


def _pack_chunk(part: Part, indices: np.ndarray, writer: ImageWriter) -> Chunk:
    batch = part.read(indices)
    writer.append(batch.images)
    kept = np.delete(indices, list(batch.bad))
    there = len(kept) > 0
    return Chunk(
        kept,
        duplicates.sign(batch.images) if there else duplicates.NOTHING,
        kept[blank(batch.images)] if there else kept,
        is_grey(batch.images),
        tuple(batch.images.shape[1:]) if there else (),
        {int(indices[at]): reason for at, reason in batch.bad.items()},
        {int(indices[at]): reason for at, reason in batch.mended.items()},
    )


def _packed(part: Part, chunks: list[Chunk], shape: tuple[int, ...]) -> Packed:
    kept = np.concatenate([np.empty(0, np.int64), *(chunk.kept for chunk in chunks)])
    return Packed(
        part.labels[kept],
        [part.ids[int(index)] for index in kept],
        duplicates.join([duplicates.NOTHING, *(chunk.signatures for chunk in chunks)]),
        all(chunk.grey for chunk in chunks),
        shape,
        [{"id": part.ids[index], "reason": reason} for chunk in chunks for index, reason in chunk.bad.items()],
        Counter(reason for chunk in chunks for reason in chunk.mended.values()),
        [part.ids[int(index)] for chunk in chunks for index in chunk.blank],
    )


def is_grey(images: np.ndarray) -> bool:
    """Whether red, green and blue are the same everywhere, uint8 (N, H, W, 3)."""
    return bool((images[..., 0] == images[..., 1]).all() and (images[..., 1] == images[..., 2]).all())


def drop(packed: Packed, rows: set[int], folder: Path) -> Packed:
    """Leave rows out of a packed split, streaming the others into a new file."""
    keep = np.array([row not in rows for row in range(len(packed.ids))])
    whole = np.load(folder / PACKED, mmap_mode="r")
    with ImageWriter(folder / IMAGES) as writer:
        for chunk in slices(len(whole), CHUNK):
            writer.append(whole[chunk][keep[chunk]])
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
    """Write labels and ids beside the images; what a killed run would have gone on from goes."""
    if (folder / IMAGES).is_file():
        (folder / PACKED).unlink()
    else:
        os.replace(folder / PACKED, folder / IMAGES)
    shutil.rmtree(folder / RECORDS)
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
