"""Large arrays mapped from files take the memory that is needed at once, not that of all that was ever read."""

from __future__ import annotations

import mmap

import numpy as np

KEPT = 4 << 30  # bytes of a file that may stay in memory: to map its pages again costs a tenth of the time of a product


def forget(array: np.ndarray, rows: slice) -> None:
    """Give back the memory of some rows of a mapped array, which are in use no more for now.

    What was written stays written, and what is read again comes from the system's cache of files, which needs no
    promise of memory. Arrays in memory and small files stay as they are, as do all on systems without madvise.

    Args:
        array: mapped by NumPy, or a view of such an array.
        rows: of its first axis.
    """
    mapping = getattr(array, "_mmap", None)
    if mapping is None or not hasattr(mmap, "MADV_DONTNEED") or len(mapping) <= KEPT:
        return
    part = array[rows]
    if part.size == 0:
        return
    base = np.frombuffer(mapping, np.uint8).ctypes.data
    start, stop = (address - base for address in np.lib.array_utils.byte_bounds(part))
    start = start // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, start, min(stop, len(mapping)) - start)
