"""Arrays that may be larger than memory: such ones lie in a file without a name, which ends with the process."""

from __future__ import annotations

import tempfile

import numpy as np

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.files import reserve

IN_MEMORY = 1 << 30  # bytes of an array; larger ones go to disk


def zeros(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array of zeros, in memory or on disk.

    Raises:
        PipelineError: the disk has no room.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        layout.WORK.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=layout.WORK) as file:
            reserve(file.fileno(), size)
            return np.memmap(file, dtype, "w+", shape=shape)  # it keeps its own hold of the file
    except OSError as error:
        raise PipelineError(
            f"{layout.WORK.resolve()}: {size / 1e9:.2g} GB are needed there for a while "
            f"({error.strerror or error}); make room, or take fewer images, classes, dimensions or words"
        ) from error
