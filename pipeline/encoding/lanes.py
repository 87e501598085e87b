"""Numbers side by side for vector instructions: aligned arrays, and operations that Numba can't express."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32  # float32 numbers, two lines of the cache


def aligned(rows: int, columns: int) -> np.ndarray:
    """Zeros, float32 (rows, columns rounded up to whole LANES), each row at the start of a line of the cache.

    NumPy's own arrays begin anywhere; reading and writing numbers that straddle two lines takes half as long again.
    """
    width = -(-columns // LANES) * LANES
    memory = np.zeros(rows * width + LANES, np.float32)
    first = -(memory.ctypes.data // memory.itemsize) % LANES
    return memory[first : first + rows * width].reshape(rows, width)


VECTOR = ir.VectorType(ir.FloatType(), LANES)


@intrinsic
def at_least(typing: Any, row: Any, limits: Any, start: Any) -> Any:
    """Which of row[start], …, row[start + 31] are at least their limits: uint32, a bit for each.

    Row and limits are contiguous float32; nothing checks that they are that long.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def load(argument: int) -> Any:
            data = context.make_array(signature.args[argument])(context, builder, arguments[argument]).data
            return builder.load(_lanes(builder, builder.gep(data, [arguments[2]])), align=4)

        return builder.bitcast(builder.fcmp_ordered(">=", load(0), load(1)), ir.IntType(LANES))

    array = types.Array(types.float32, 1, "C")
    return types.uint32(array, array, types.int64), generate


@intrinsic
def lowest_bit(typing: Any, mask: Any) -> Any:
    """Number of the lowest bit set in a uint32 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint32(types.uint32), generate


@intrinsic
def add_weighted(
    typing: Any, x: Any, rows: Any, weights: Any, first: Any, past: Any, column: Any, sums: Any, squares: Any
) -> Any:
    """Add Σ w x and Σ w x² over the listed rows of x, for 32 columns, to as many sums and sums of squares.

    The list is rows[first], …, rows[past − 1] with their weights; x is float32 (n, columns), rows int32, weights, sums
    and squares float32, all contiguous. What is summed up stays in registers. Nothing checks that places exist.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = {i: context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 1, 2, 6, 7)}
        start, stop, at = arguments[3:6]
        width = cgutils.unpack_tuple(builder, arrays[0].shape, 2)[1]
        exact = ("contract", "nsz")
        places = [_lanes(builder, builder.gep(arrays[i].data, [at])) for i in (6, 7)]
        totals = [cgutils.alloca_once_value(builder, builder.load(place, align=4)) for place in places]
        with cgutils.for_range(builder, builder.sub(stop, start)) as loop:
            entry = builder.add(start, loop.index)
            row = builder.sext(builder.load(builder.gep(arrays[1].data, [entry])), ir.IntType(64))
            weight = _repeated(builder, builder.load(builder.gep(arrays[2].data, [entry])))
            there = builder.gep(arrays[0].data, [builder.add(builder.mul(row, width), at)])
            values = builder.load(_lanes(builder, there), align=4)
            weighted = builder.fmul(weight, values, flags=exact)
            builder.store(builder.fadd(builder.load(totals[0]), weighted, flags=exact), totals[0])
            square = builder.fmul(weighted, values, flags=exact)
            builder.store(builder.fadd(builder.load(totals[1]), square, flags=exact), totals[1])
        for place, total in zip(places, totals, strict=True):
            builder.store(builder.load(total), place, align=4)
        return context.get_dummy_value()

    line, table = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
    entries = types.Array(types.int32, 1, "C")
    return types.void(table, entries, line, types.int64, types.int64, types.int64, line, line), generate


def _lanes(builder: Any, pointer: Any) -> Any:
    """The pointer, to LANES numbers."""
    return builder.bitcast(pointer, VECTOR.as_pointer())


def _repeated(builder: Any, number: Any) -> Any:
    """The number in each of the LANES."""
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))
