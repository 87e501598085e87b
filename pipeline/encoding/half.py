"""Half precision on CPUs without instructions for it in NumPy: bits moved by compiled loops, several times faster.

Half and single precision differ in where the exponent stands and in its bias. Moving the bits and multiplying by a
power of two corrects both, subnormal numbers included. Infinity and NaN are not handled: features have none.
"""

from __future__ import annotations

import numba
import numpy as np


def to_half(values: np.ndarray) -> np.ndarray:
    """Float32 (N, D), each |v| below 65,504, to float16, rounded to nearest."""
    out = np.empty(values.shape, np.float16)
    contiguous = np.ascontiguousarray(values, np.float32)
    _encode(contiguous.reshape(-1), np.empty(min(contiguous.size, 4096), np.float32), out.view(np.uint16).reshape(-1))
    return out


@numba.njit(nogil=True, cache=True)
def _encode(values: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    scale = np.float32(2.0**-112)
    size = len(scratch)
    bits = scratch.view(np.uint32)
    for start in range(0, len(values), max(size, 1)):
        past = min(start + size, len(values))
        source, target = values[start:past], out[start:past]
        for i in range(past - start):
            scratch[i] = source[i] * scale
        for i in range(past - start):
            value = bits[i]
            magnitude = value & np.uint32(0x7FFFFFFF)
            odd = (magnitude >> np.uint32(13)) & np.uint32(1)  # ties go to the even neighbour
            rounded = (magnitude + np.uint32(0xFFF) + odd) >> np.uint32(13)
            target[i] = np.uint16(((value >> np.uint32(16)) & np.uint32(0x8000)) | rounded)


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nnan", "ninf"})
def decode_part(
    halves: np.ndarray, first_row: int, first_column: int, mean: np.ndarray, out: np.ndarray, bits: np.ndarray
) -> None:
    """Part of an array to float32, minus a mean.

    Args:
        halves: uint16 (N, D), the bits of float16.
        first_row, first_column: where the part begins.
        mean: float32 (D,).
        out: float32 (n, d), contiguous.
        bits: the same memory as uint32.
    """
    scale = np.float32(2.0**112)
    width = out.shape[1]
    centre = mean[first_column : first_column + width]
    for row in range(len(out)):
        line = halves[first_row + row, first_column : first_column + width]
        moved, values = bits[row], out[row]
        for i in range(width):
            half = np.uint32(line[i])
            moved[i] = ((half & np.uint32(0x8000)) << np.uint32(16)) | ((half & np.uint32(0x7FFF)) << np.uint32(13))
        for i in range(width):
            values[i] = values[i] * scale - centre[i]
