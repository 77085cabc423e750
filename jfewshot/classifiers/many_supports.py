"""Functions for episodes of many supports: one episode at a time, with matrix products instead of factorisations.

With few supports an episode is too small to use a processor well, so many episodes are solved at once (linalg.py). With
about a hundred supports or more, one episode's Gram matrix fills a core's cache, and products with it run near the
core's peak speed. A solver then needs no factorisation: it takes a few dozen products of the Gram matrix with one row
per class, by conjugate gradients.

Arrays here belong to one episode and have the classes first: [classes, supports] @ Gram is the fast order, since a
class's coefficients and a row of the Gram matrix are both contiguous in memory.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# With more supports than this, episodes are solved one at a time.
MANY = 100
_TINY = 1e-30


def one_at_a_time(solve: Callable[..., Any], *arrays: jax.Array) -> Any:
    """Apply a function of one episode's arrays to many episodes.

    A CPU device works through the episodes in a loop, where each can end after as many steps as it needs. An accelerator solves
    all of them together, since one episode would leave most of it idle.

    Args:
      solve: a function of arrays without the episode axis; it returns a pytree of arrays.
      *arrays: arrays with the episodes last.

    Returns:
      What `solve` returns, the episodes last in every array.
    """
    first = tuple(jnp.moveaxis(x, -1, 0) for x in arrays)
    solved = lax.platform_dependent(
        *first,
        cpu=lambda *xs: lax.map(lambda x: solve(*x), xs),
        default=lambda *xs: jax.vmap(solve)(*xs),
    )
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), solved)


def one_at_a_time_at(solve: Callable[..., Any], gram: jax.Array, strength: jax.Array) -> Any:
    """`one_at_a_time` for a function of a Gram matrix and of a strength.

    Args:
      solve: a function of one episode's Gram matrix and strength; it returns a pytree of arrays.
      gram: the Gram matrices, the episodes last.
      strength: one strength for all episodes, or one per episode.

    Returns:
      What `solve` returns, the episodes last in every array.
    """
    if jnp.ndim(strength):
        return one_at_a_time(solve, gram, strength)
    return one_at_a_time(lambda gram: solve(gram, strength), gram)


def times(x: Float[Array, "classes n"], matrix: Float[Array, "n m"]) -> Float[Array, "classes m"]:
    """Product with a Gram matrix or another one, in full float32 (accelerators would otherwise round the factors)."""
    return jnp.matmul(x, matrix, precision=lax.Precision.HIGHEST)


def dot(a: jax.Array, b: jax.Array) -> Float[Array, ""]:
    """Sum of the products of all elements."""
    return jnp.vdot(a, b, precision=lax.Precision.HIGHEST)


class _Gradients(NamedTuple):
    x: Float[Array, "classes n"]
    r: Float[Array, "classes n"]
    p: Float[Array, "classes n"]
    rr: Float[Array, "classes 1"]
    steps: Array


def solve_inside(
    gram: Float[Array, "n n"],
    inside: Float[Array, "classes n"],
    diagonal: Float[Array, ""],
    right: Float[Array, "classes n"],
    goal: Float[Array, ""],
    most: int,
) -> tuple[Float[Array, "classes n"], Array]:
    """Solve (M K M + diagonal I) x = M right for each class by conjugate gradients, M = diag(inside).

    Args:
      gram: K, symmetric and positive semi-definite.
      inside: 1 for the supports that take part in a class's system, 0 for the others, whose x is 0.
      diagonal: added to the diagonal; positive.
      right: the right-hand sides.
      goal: stop when the largest element of the residual is below this.
      most: the largest number of steps.

    Returns:
      x, and the number of steps (one product with K each).
    """

    def step(s: _Gradients) -> _Gradients:
        q = inside * times(s.p, gram) + diagonal * s.p
        a = s.rr / jnp.maximum((s.p * q).sum(1, keepdims=True), _TINY)
        r = s.r - a * q
        rr = (r * r).sum(1, keepdims=True)
        return _Gradients(s.x + a * s.p, r, r + rr / jnp.maximum(s.rr, _TINY) * s.p, rr, s.steps + 1)

    r = inside * right
    start = _Gradients(jnp.zeros_like(r), r, r, (r * r).sum(1, keepdims=True), jnp.int32(0))
    end = lax.while_loop(lambda s: (jnp.abs(s.r).max() > goal) & (s.steps < most), step, start)
    return end.x, end.steps
