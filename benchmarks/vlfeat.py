"""VLFeat's C library (Debian: libvlfeat-dev) through ctypes: a peer for dense SIFT and Fisher vectors."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import lru_cache

import numpy as np

_FLOAT = 1  # VL_TYPE_FLOAT
FISHER_IMPROVED = (1 << 0) | (1 << 1)  # square root and L2 norm


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    for name in ("libvl.so", "libvl.so.1", ctypes.util.find_library("vl")):
        try:
            if name:
                return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def available() -> bool:
    """Whether the library is installed."""
    return _library() is not None


class _Filter(ctypes.Structure):
    """The head of VlDsiftFilter (vl/dsift.h)."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("width", "height", "step_x", "step_y", "min_x", "min_y", "max_x", "max_y")),
        *((name, ctypes.c_int) for name in ("bins_t", "bins_x", "bins_y", "bin_size_x", "bin_size_y")),
        ("flat", ctypes.c_int),
        ("window_size", ctypes.c_double),
        ("frames", ctypes.c_int),
        ("dimension", ctypes.c_int),
        ("frame_list", ctypes.c_void_p),
        ("descriptors", ctypes.POINTER(ctypes.c_float)),
    ]


class Dsift:
    """vl_dsift for images of one size."""

    def __init__(self, width: int, height: int, bin_size: int, step: int, flat: bool) -> None:
        library = _library()
        assert library is not None
        library.vl_dsift_new_basic.restype = ctypes.c_void_p
        library.vl_dsift_process.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.vl_dsift_delete.argtypes = [ctypes.c_void_p]
        self._library = library
        self._handle = library.vl_dsift_new_basic(width, height, step, bin_size)
        self._filter = ctypes.cast(self._handle, ctypes.POINTER(_Filter)).contents
        self._filter.flat = int(flat)

    def start_at(self, x: int, y: int) -> None:
        """Put the first bin of the first frame there."""
        self._filter.min_x, self._filter.min_y = x, y

    def __call__(self, grey: np.ndarray) -> np.ndarray:
        """Descriptors of float32 (H, W): (frames, 128), rows of the grid first."""
        self._library.vl_dsift_process(self._handle, np.ascontiguousarray(grey, np.float32).ctypes.data)
        return np.ctypeslib.as_array(self._filter.descriptors, (self._filter.frames, 128)).copy()

    def __del__(self) -> None:
        self._library.vl_dsift_delete(self._handle)


def fisher(
    descriptors: np.ndarray, means: np.ndarray, variances: np.ndarray, weights: np.ndarray, flags: int = FISHER_IMPROVED
) -> np.ndarray:
    """vl_fisher_encode: float32 (2·K·D,)."""
    library = _library()
    assert library is not None
    out = np.empty(2 * means.size, np.float32)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.vl_fisher_encode.argtypes = [
        pointer, ctypes.c_uint32, pointer, size, size, pointer, pointer, pointer, size, ctypes.c_int,
    ]  # fmt: skip
    arrays = [np.ascontiguousarray(values, np.float32) for values in (means, variances, weights, descriptors)]
    library.vl_fisher_encode(
        out.ctypes.data, _FLOAT, arrays[0].ctypes.data, means.shape[1], len(means),
        arrays[1].ctypes.data, arrays[2].ctypes.data, arrays[3].ctypes.data, len(descriptors), flags,
    )  # fmt: skip
    return out
