"""Two splits as one, for what learns from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.data.contract import Split
from pipeline.parallel import slices

IN_MEMORY = 2 << 30  # bytes; more is written to a file, and mapped
AT_ONCE = 4096  # images


def joined(first: Split, second: Split, work: Path, process: int = 0) -> Split:
    """The images of one after those of the other.

    Args:
        work: a folder for them, if they are large.
        process: which of several this is; each has its own file.
    """
    shape = (len(first) + len(second), *first.images.shape[1:])
    if first.images.nbytes + second.images.nbytes <= IN_MEMORY:
        images = np.concatenate([first.images, second.images])
    else:
        work.mkdir(parents=True, exist_ok=True)
        images = np.lib.format.open_memmap(work / f"joined-{process}.npy", "w+", np.uint8, shape)
        for part, start in ((first, 0), (second, len(first))):
            for rows in slices(len(part), AT_ONCE):
                images[start + rows.start : start + rows.stop] = part.images[rows]
    return Split(first.name, images, np.concatenate([first.labels, second.labels]), [*first.ids, *second.ids])
