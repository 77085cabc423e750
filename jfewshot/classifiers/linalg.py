"""Small dense linear algebra for many episodes at once, with the episode axis last.

An episode's matrices are tiny (5 x 5, 25 x 5), so speed is decided by layout. With the episodes last and innermost,
every operation below is an element-wise loop over episodes, which compilers turn into full-width vector code; with the
episodes first, each episode is a separate small matrix product and most of a vector register stays empty. All functions
work for one episode or thousands on the last axis, so the code of a classifier looks like the formulas for one episode.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# Products are unrolled over blocks of this many terms. This is enough to keep the accumulators in registers and the
# loop's overhead small, and few enough to compile in milliseconds.
_UNROLL = 25
# Sums and maxima of up to so many terms are unrolled.
_MOST_TERMS = 128
# Blocks of the inverse; a block is inverted by unrolled elimination.
_BLOCK = 5
# For matrices of this size or larger, LAPACK on one episode after another is faster than elimination across episodes.
_LAPACK_FROM = 160


def product(a: Float[Array, "m n *episodes"], x: Float[Array, "n c *episodes"]) -> Float[Array, "m c *episodes"]:
    """Matrix product of each episode: sum over j of a[:, j] x[j, :].

    Args:
      a: m x n per episode.
      x: n x c per episode.

    Returns:
      m x c per episode.
    """
    n = a.shape[1]
    if a.ndim == 3 and a.shape[2] == 1:
        # A single episode cannot fill a vector register across episodes, so use a matrix product.
        return jnp.matmul(a[:, :, 0], x[:, :, 0], precision=lax.Precision.HIGHEST)[:, :, None]
    whole = n // _UNROLL
    if whole < 2:
        return _unrolled_product(a, x)

    def add_block(block, total):
        start = block * _UNROLL
        columns = lax.dynamic_slice_in_dim(a, start, _UNROLL, 1)
        rows = lax.dynamic_slice_in_dim(x, start, _UNROLL, 0)
        return total + _unrolled_product(columns, rows)

    total = lax.fori_loop(0, whole, add_block, jnp.zeros((a.shape[0], *x.shape[1:]), a.dtype))
    rest = whole * _UNROLL
    return total + _unrolled_product(a[:, rest:], x[rest:]) if rest < n else total


def computed_once(function: Callable[..., jax.Array], *arguments: jax.Array) -> jax.Array:
    """Compute `function(*arguments)` once, for all operations that use the result.

    On CPUs this stops XLA from recomputing the result for each consumer, by hiding it behind a branch whose condition XLA
    cannot predict. (XLA fuses a sum of products into every loop that uses it; optimisation barriers do not prevent that.) On
    other devices `function` is called directly.

    Args:
      function: from arrays to one array.
      arguments: the arrays; the branch looks at the first element of the first one.

    Returns:
      What `function` returns.
    """

    def in_a_branch(*arguments):
        first = arguments[0].ravel()[0].astype(jnp.float32)
        # No computation produces this NaN bit pattern, so the branch is always taken.
        ordinary = lax.bitcast_convert_type(first, jnp.int32) != 0x7FABCDEF
        shape = jax.eval_shape(function, *arguments)
        return lax.cond(ordinary, function, lambda *_: jnp.zeros(shape.shape, shape.dtype), *arguments)

    return lax.platform_dependent(*arguments, cpu=in_a_branch, default=function)


def _unrolled_product(a, x):
    terms = [a[:, j, None] * x[None, j] for j in range(a.shape[1])]
    return sum(terms[1:], start=terms[0])


def inverse(a: Float[Array, "n n *episodes"]) -> Float[Array, "n n *episodes"]:
    """Inverse of each episode's matrix by Gauss-Jordan elimination without pivoting.

    For matrices whose leading minors are all positive, so that no pivot is zero: symmetric positive definite matrices,
    and a I + D K with a > 0, D diagonal and positive, K positive semi-definite (similar to a symmetric positive
    definite matrix).

    Args:
      a: n x n per episode.

    Returns:
      The inverses, n x n per episode; inf or NaN where a matrix is singular.
    """
    n = a.shape[0]
    if n <= 8:
        return _eliminate(a)
    if n >= _LAPACK_FROM and a.ndim > 2:
        matrices = jnp.moveaxis(a, (0, 1), (-2, -1))
        inverses = lax.platform_dependent(matrices, cpu=_inverse_one_by_one, default=jnp.linalg.inv)
        return jnp.moveaxis(inverses, (-2, -1), (0, 1))
    # Pad with the identity to whole blocks: the inverse of a block-diagonal matrix is that of its blocks.
    padding = -n % _BLOCK
    if padding:
        a = jnp.pad(a, [(0, padding), (0, padding)] + [(0, 0)] * (a.ndim - 2))
        ends = jnp.arange(n, n + padding)
        a = a.at[ends, ends].set(1.0)
    return _eliminate_blocks(a)[:n, :n]


def _inverse_one_by_one(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Inverses by LAPACK, one matrix a call, for CPUs.

    A LAPACK call on a batch of matrices can hang forever on a CPU. jaxlib splits such a batch into tasks for XLA's
    thread pool and waits for them, but the call itself occupies one thread of that pool. With as many devices as
    threads (the default: one device per core) every thread waits inside such a call, and none is left for the tasks.
    jaxlib 0.10.2 does so in `ParallelBatchMap` for all LAPACK and triangular solves. A call on one matrix runs in the
    calling thread.
    """
    return lax.map(jnp.linalg.inv, a.reshape(-1, *a.shape[-2:])).reshape(a.shape)


def _eliminate(a):
    for k in range(a.shape[0]):
        pivot = 1.0 / a[k, k]
        row = a[k] * pivot
        column = a[:, k]
        a = a - column[:, None] * row[None]
        a = a.at[k].set(row).at[:, k].set(-column * pivot).at[k, k].set(pivot)
    return a


def _eliminate_blocks(a):
    """Gauss-Jordan elimination with _BLOCK x _BLOCK pivots: one pass over the matrix per block, not per row."""
    n = a.shape[0]

    numbers = jnp.arange(n).reshape(-1, *[1] * (a.ndim - 1))
    identity = jnp.eye(_BLOCK, dtype=a.dtype).reshape(_BLOCK, _BLOCK, *[1] * (a.ndim - 2))

    def eliminate(block, a):
        start = block * _BLOCK
        of_block = (numbers >= start) & (numbers < start + _BLOCK)

        def pivot_of(a):
            rows = lax.dynamic_slice_in_dim(a, start, _BLOCK, 0)
            return _eliminate(lax.dynamic_slice_in_dim(rows, start, _BLOCK, 1))

        def rows_of(a, pivot):
            rows = _unrolled_product(pivot, lax.dynamic_slice_in_dim(a, start, _BLOCK, 0))
            return lax.dynamic_update_slice_in_dim(rows, pivot, start, 1)

        def columns_of(a):
            # Subtract the identity in the pivot's own rows, so that these rows become `rows`.
            columns = lax.dynamic_slice_in_dim(a, start, _BLOCK, 1)
            minus = jnp.broadcast_to(-identity, (_BLOCK, *columns.shape[1:]))
            return lax.dynamic_update_slice_in_dim(columns, minus, start, 0)

        pivot = computed_once(pivot_of, a)
        rows, columns = computed_once(rows_of, a, pivot), computed_once(columns_of, a)
        # In the pivot's rows and columns, the update starts from zero.
        return jnp.where(of_block | jnp.swapaxes(of_block, 0, 1), 0.0, a) - _unrolled_product(columns, rows)

    # A loop even if it is short: XLA fuses unrolled steps, and then computes the earlier steps several times.
    return lax.fori_loop(0, n // _BLOCK, eliminate, a)


def total(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Sum over a leading axis, term by term if the axis is short.

    On CPUs XLA does not vectorise a reduction over an axis that is not the last, but it vectorises a sum of slices."""
    return _reduced(x, axis, jnp.add, jnp.sum)


def trace(gram: Float[Array, "n n episodes"]) -> Float[Array, "episodes"]:
    """Sum of the diagonal, per episode."""
    if gram.shape[-1] == 1:
        # One episode may have thousands of supports; an unrolled program would take minutes to compile.
        return jnp.trace(gram)
    return total(jnp.stack([gram[i, i] for i in range(gram.shape[0])]), 0)


def largest(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Maximum over a leading axis; see `total`."""
    return _reduced(x, axis, jnp.maximum, jnp.max)


def _reduced(x, axis, combine, reduce):
    n = x.shape[axis]
    if n > _MOST_TERMS or x.shape[-1] == 1:
        return reduce(x, axis=axis)
    whole = n // _UNROLL
    if whole > 1:
        # In groups, so that there are fewer operations to compile.
        groups = lax.slice_in_dim(x, 0, whole * _UNROLL, axis=axis)
        groups = groups.reshape(*x.shape[:axis], whole, _UNROLL, *x.shape[axis + 1 :])
        groups = _reduced(_reduced(groups, axis + 1, combine, reduce), axis, combine, reduce)
        if whole * _UNROLL == n:
            return groups
        return combine(groups, _reduced(lax.slice_in_dim(x, whole * _UNROLL, n, axis=axis), axis, combine, reduce))
    slices = [lax.index_in_dim(x, i, axis, keepdims=False) for i in range(n)]
    # In pairs, and then in pairs of pairs, which gives short chains of operations and smaller rounding errors.
    while len(slices) > 1:
        pairs = [combine(a, b) for a, b in zip(slices[::2], slices[1::2], strict=False)]
        slices = pairs + slices[2 * len(pairs) :]
    return slices[0]


def softmax(scores: Float[Array, "n c *episodes"]) -> Float[Array, "n c *episodes"]:
    """Softmax over the classes (axis 1)."""
    unnormalised = jnp.exp(scores - largest(scores, 1)[:, None])
    return unnormalised / total(unnormalised, 1)[:, None]


def log_sum_exp(scores: Float[Array, "n c *episodes"]) -> Float[Array, "n *episodes"]:
    """log of the sum over the classes (axis 1) of exp(scores)."""
    highest = largest(scores, 1)
    return highest + jnp.log(total(jnp.exp(scores - highest[:, None]), 1))


def slot_type(n_way: int) -> type[np.int8] | type[np.int16]:
    """The type of class slots, 0 to n_way - 1: one byte up to 127 ways, since predictions are most of what a result stores."""
    return np.int8 if n_way <= 127 else np.int16


def argmax_class(scores: Float[Array, "n c *episodes"]) -> jax.Array:
    """The class with the highest score; of several with equal scores, the one with the smallest index.

    The function is a chain of selections, because XLA's argmax is a general reduction that carries an index, which XLA
    does not vectorise on CPUs.

    Returns:
      n per episode, of the type that `slot_type` names.
    """
    slot = slot_type(scores.shape[1])
    best, index = scores[:, 0], jnp.zeros(scores[:, 0].shape, slot)
    for c in range(1, scores.shape[1]):
        higher = scores[:, c] > best
        best = jnp.where(higher, scores[:, c], best)
        index = jnp.where(higher, slot(c), index)
    return index
