"""Compute inner products of episodes from a store's rows: each row is fetched, transformed and multiplied in a core's cache.

Numba compiles these loops (optional: `pip install 'jfewshot[fast]'`). XLA has no operation that fetches scattered rows ahead of
time and uses each while it is in the nearest cache: XLA copies an episode's rows, and reads the copy again to normalise and to
multiply it.
"""

import inspect
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_LINE = 64  # bytes of a cache line
_GROUP = 5  # supports multiplied at once; with two queries, ten sums stay in registers
_PART = 128  # features multiplied between two requests for the next rows
# Sums of squares outside of this range are computed again after scaling the row by a power of two.
_SMALLEST, _LARGEST = np.float32(1e-25), np.float32(1e30)


def _intrinsic(function):
    return intrinsic(inspect.unwrap(function))


def _compiled(function):
    # The tests wrap each function with type checks, which Numba cannot compile.
    function = inspect.unwrap(function)
    options: dict[str, Any] = {"nogil": True, "boundscheck": False, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # There is no folder in which compiled code can be kept.
        return numba.njit(**options)(function)


@_intrinsic
def _prefetch(typing, array, row, byte):
    """Start to fetch the cache line at a byte of a row, without waiting.

    The line goes into the second-level cache. Fetching into the first-level cache would occupy its few slots for
    misses, and the reads of the products would have to wait for them.
    """

    def generate(context, builder, signature, arguments):
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, view.strides)[0]
        pointer_type, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        start = builder.bitcast(view.data, pointer_type)
        address = builder.gep(start, [builder.add(builder.mul(arguments[1], stride), arguments[2])])
        kind = ir.FunctionType(ir.VoidType(), [pointer_type, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, int32(0), int32(2), int32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@_intrinsic
def _widened(typing, value):
    """Convert a float16, given as the integer of its bits, to float32; return a float32 unchanged."""
    if value == types.float32:
        return types.float32(value), lambda context, builder, signature, arguments: arguments[0]

    def generate(context, builder, signature, arguments):
        half = builder.bitcast(arguments[0], ir.HalfType())
        return builder.fpext(half, ir.FloatType())

    return types.float32(types.uint16), generate


@_compiled
def _request(view, row, start, stop):
    size = view.itemsize
    for byte in range(start * size, stop * size, _LINE):
        _prefetch(view, row, byte)


@_compiled
def _aligned(rows, columns):
    """Zeros that begin at a cache line: writing a vector register across two cache lines takes twice as long."""
    memory = np.zeros(rows * columns + _LINE // 4, np.float32)
    start = (-memory.ctypes.data // 4) % (_LINE // 4)
    return memory[start : start + rows * columns].reshape(rows, columns)


@_compiled
def _inverse_length(squares, stored, mean, factor, moves):
    """Compute 1 / length of a transformed row, and the power of two by which the row has to be multiplied first."""
    one = np.float32(1)
    if squares > _SMALLEST and squares < _LARGEST:
        return one / np.sqrt(squares), one
    largest = np.float32(0)
    for k in range(len(stored)):
        x = _widened(stored[k])
        if moves:
            x = (x - mean[k]) * factor[k]
        largest = max(largest, abs(x))
    if largest == 0:
        # An embedding of zeros has no direction and stays zero.
        return one, one
    # No more than 2^126, so that the power is a float32 where the row holds only numbers below the normal range.
    power = np.float32(2.0 ** min(126.0, -np.floor(np.log2(np.float64(largest)))))
    squares = np.float32(0)
    for k in range(len(stored)):
        x = _widened(stored[k])
        if moves:
            x = (x - mean[k]) * factor[k]
        x *= power
        squares += x * x
    return one / np.sqrt(squares), power


@_compiled
def _read(view, row, mean, factor, moves, unit_length, out):
    """Transform a row into `out` without dividing it by its length; return the factor for its products."""
    stored = view[row]
    squares = np.float32(0)
    if moves:
        for k in range(len(out)):
            x = (_widened(stored[k]) - mean[k]) * factor[k]
            out[k] = x
            squares += x * x
    else:
        for k in range(len(out)):
            x = _widened(stored[k])
            out[k] = x
            squares += x * x
    if not unit_length:
        return np.float32(1)
    inverse, power = _inverse_length(squares, stored, mean, factor, moves)
    if power != 1:
        for k in range(len(out)):
            out[k] *= power
    return inverse


@_compiled
def multiply_block(view, row_of, support, query, mean, factor, origin, moves, unit_length, gram_ss, gram_qs):
    """Inner products of the episodes of one block, of rows r transformed to x = (r - mean) factor, or x / |x| - origin.

    With unit length, <x / |x| - o, s> is computed as <x, s> / |x| - <o, s>, where the origin has already been
    subtracted from s. This is equally exact, because s is short if embeddings share a large mean. Queries are then
    neither copied nor changed.

    Args:
      view: segments x dim, float32, or the bits of float16.
      row_of: for each number of the source, the row of the view.
      support: the source's numbers of the supports, n_support x episodes.
      query: the source's numbers of the queries, n_query x episodes.
      mean: subtracted, per feature.
      factor: multiplied with after that, per feature.
      origin: subtracted last, per feature; used with `unit_length` only.
      moves: whether mean and factor change the rows.
      unit_length: whether rows are divided by their length.
      gram_ss: filled in; n_support x n_support x episodes.
      gram_qs: filled in; n_query x n_support x episodes.
    """
    dim = view.shape[1]
    n, m, episodes = support.shape[0], query.shape[0], support.shape[1]
    groups = (n + _GROUP - 1) // _GROUP
    # The supports and the queries are padded, so that the loops below need no code for a remainder.
    supports = _aligned(groups * _GROUP + 1, dim)
    pair = _aligned(2, dim)
    products = np.zeros((2, groups * _GROUP), np.float32)
    squares = np.zeros(2, np.float32)
    of_origin = np.zeros(n, np.float32)
    rows = np.empty(n + m + 2, np.int64)
    buffered = moves or groups > 1
    for e in range(episodes):
        for i in range(n):
            rows[i] = row_of[support[i, e]]
        for i in range(m):
            rows[n + i] = row_of[query[i, e]]
        # After an episode's last query come the first supports of the next episode.
        after = min(e + 1, episodes - 1)
        rows[n + m] = row_of[support[0, after]]
        rows[n + m + 1] = row_of[support[min(1, n - 1), after]]
        for i in range(n):
            _request(view, rows[i + 2], 0, dim)
            length = _read(view, rows[i], mean, factor, moves, unit_length, supports[i])
            s = supports[i]
            if unit_length:
                product = np.float32(0)
                for k in range(dim):
                    x = s[k] * length - origin[k]
                    s[k] = x
                    product += x * origin[k]
                of_origin[i] = product
        for i in range(0, n, 2):
            upto = min(i + 1, n - 1) // _GROUP + 1
            for g in range(upto):
                _multiply_near(supports[i], supports[i + 1], supports, g * _GROUP, products)
            for q in range(min(2, n - i)):
                for j in range(i + q + 1):
                    gram_ss[i + q, j, e] = products[q, j]
                    gram_ss[j, i + q, e] = products[q, j]
        for i in range(0, m, 2):
            two = min(2, m - i)
            one, other = rows[n + i], rows[n + i + two - 1]
            next_one, next_other = rows[n + i + two], rows[n + min(i + two + 1, m + 1)]
            lengths = (np.float32(1), np.float32(1))
            if buffered:
                lengths = (
                    _read(view, one, mean, factor, moves, unit_length, pair[0]),
                    _read(view, other, mean, factor, moves, unit_length, pair[1]),
                )
                start = 0
                for g in range(groups):
                    stop = (g + 1) * dim // groups
                    _request(view, next_one, start, stop)
                    _request(view, next_other, start, stop)
                    _multiply_near(pair[0], pair[1], supports, g * _GROUP, products)
                    start = stop
            else:
                _multiply_far(view, one, other, next_one, next_other, supports, products, squares)
                if unit_length:
                    first, power = _inverse_length(squares[0], view[one], mean, factor, moves)
                    second, other_power = _inverse_length(squares[1], view[other], mean, factor, moves)
                    if power != 1 or other_power != 1:
                        # The sum of squares is outside the normal range: compute it again after scaling.
                        first = _read(view, one, mean, factor, moves, unit_length, pair[0])
                        second = _read(view, other, mean, factor, moves, unit_length, pair[1])
                        _multiply_near(pair[0], pair[1], supports, 0, products)
                    lengths = (first, second)
            for j in range(n):
                shift = of_origin[j]
                gram_qs[i, j, e] = products[0, j] * lengths[0] - shift
                if two == 2:
                    gram_qs[i + 1, j, e] = products[1, j] * lengths[1] - shift


@_compiled
def _multiply_near(first, second, supports, start, products):
    """Products of two transformed rows with five supports."""
    s0, s1, s2 = supports[start], supports[start + 1], supports[start + 2]
    s3, s4 = supports[start + 3], supports[start + 4]
    a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = np.float32(0)
    for k in range(len(first)):
        a, b = first[k], second[k]
        a0 += a * s0[k]
        a1 += a * s1[k]
        a2 += a * s2[k]
        a3 += a * s3[k]
        a4 += a * s4[k]
        b0 += b * s0[k]
        b1 += b * s1[k]
        b2 += b * s2[k]
        b3 += b * s3[k]
        b4 += b * s4[k]
    one, two = products[0, start : start + _GROUP], products[1, start : start + _GROUP]
    one[0], one[1], one[2], one[3], one[4] = a0, a1, a2, a3, a4
    two[0], two[1], two[2], two[3], two[4] = b0, b1, b2, b3, b4


@_compiled
def _multiply_far(view, one, other, next_one, next_other, supports, products, squares):
    """Products of two rows as stored with five supports and with themselves; meanwhile, the next two rows are fetched."""
    dim = view.shape[1]
    for q in range(2):
        squares[q] = 0
        for j in range(_GROUP):
            products[q, j] = 0
    parts = max(1, dim // _PART)
    begin = 0
    for part in range(parts):
        end = (part + 1) * dim // parts
        _request(view, next_one, begin, end)
        _request(view, next_other, begin, end)
        first, second = view[one, begin:end], view[other, begin:end]
        s0, s1, s2 = supports[0, begin:end], supports[1, begin:end], supports[2, begin:end]
        s3, s4 = supports[3, begin:end], supports[4, begin:end]
        begin = end
        a0 = a1 = a2 = a3 = a4 = aa = b0 = b1 = b2 = b3 = b4 = bb = np.float32(0)
        for k in range(len(first)):
            a, b = _widened(first[k]), _widened(second[k])
            aa += a * a
            a0 += a * s0[k]
            a1 += a * s1[k]
            a2 += a * s2[k]
            a3 += a * s3[k]
            a4 += a * s4[k]
            bb += b * b
            b0 += b * s0[k]
            b1 += b * s1[k]
            b2 += b * s2[k]
            b3 += b * s3[k]
            b4 += b * s4[k]
        squares[0] += aa
        squares[1] += bb
        products[0, 0] += a0
        products[0, 1] += a1
        products[0, 2] += a2
        products[0, 3] += a3
        products[0, 4] += a4
        products[1, 0] += b0
        products[1, 1] += b1
        products[1, 2] += b2
        products[1, 3] += b3
        products[1, 4] += b4
