"""Numbers side by side for vector instructions: aligned arrays, and two operations that Numba can't express."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 32
LINE = 16  # float32 numbers in a line of the cache, 64 bytes


def aligned(rows: int, columns: int) -> np.ndarray:
    """Zeros, float32 (rows, columns rounded up to whole lines), each row at the start of a line.

    NumPy's own arrays begin anywhere; reading and writing numbers that straddle two lines takes half as long again.
    """
    width = -(-columns // LINE) * LINE
    memory = np.zeros(rows * width + LINE, np.float32)
    first = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[first : first + rows * width].reshape(rows, width)


@intrinsic
def at_least(typing: Any, row: Any, start: Any, limit: Any) -> Any:
    """Which of row[start], …, row[start + 31] are at least the limit: uint32, a bit for each.

    The row is contiguous float32; nothing checks that it is that long.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), LANES)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        first = builder.gep(data, [arguments[1]])
        numbers = builder.load(builder.bitcast(first, vector.as_pointer()), align=4)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
        limits = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))
        return builder.bitcast(builder.fcmp_ordered(">=", numbers, limits), ir.IntType(LANES))

    return types.uint32(types.Array(types.float32, 1, "C"), types.int64, types.float32), generate


@intrinsic
def lowest_bit(typing: Any, mask: Any) -> Any:
    """Number of the lowest bit set in a uint32 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint32(types.uint32), generate
