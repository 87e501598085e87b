"""Half precision on CPUs, converted by the processor's own instructions: NumPy takes several times as long.

Numba knows no half-precision numbers, the compiler behind it does; the two intrinsics hand it their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.compiled import compiled


@intrinsic
def _single(typing: Any, bits: Any) -> Any:
    """The float32 that 16 bits stand for."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def _half_bits(typing: Any, value: Any) -> Any:
    """The 16 bits of a float32 rounded to half precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


def to_half(values: np.ndarray) -> np.ndarray:
    """Float32 (N, D), each |v| below 65,504, to float16, rounded to nearest."""
    out = np.empty(values.shape, np.float16)
    _encode(np.ascontiguousarray(values, np.float32).reshape(-1), out.view(np.uint16).reshape(-1))
    return out


@compiled()
def _encode(values: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(values)):
        out[i] = _half_bits(values[i])


@compiled()
def decode_part(halves: np.ndarray, first_row: int, first_column: int, mean: np.ndarray, out: np.ndarray) -> None:
    """Part of an array to float32, minus a mean.

    Args:
        halves: uint16 (N, D), the bits of float16.
        first_row, first_column: where the part begins.
        mean: float32 (D,).
        out: float32 (n, d).
    """
    width = out.shape[1]
    centre = mean[first_column : first_column + width]
    for row in range(len(out)):
        line = halves[first_row + row, first_column : first_column + width]
        values = out[row]
        for i in range(width):
            values[i] = _single(line[i]) - centre[i]
