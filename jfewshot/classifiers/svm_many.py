"""One-vs-rest support vector machines on one episode of many supports, by Newton's method with conjugate gradients.

The problem is that of svm.py. A Newton step solves (K + I / 2C) alpha = y on the supports inside the margin (Keerthi
and DeCoste, 2005), here only to a few digits, since more digits would be useless as long as the set of supports inside
the margin still changes.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.many_supports import solve_inside, times

_FORCING = 0.1
_MOST_PRODUCTS = 200  # for a Newton step
_MOST_STEPS = 30
# A whole step is taken unless the objective rises at its end by more than this share of its descent at the beginning.
_CURVATURE = 0.1
_HALVINGS = 8


class Solution(NamedTuple):
    """The last state of Newton's method.

    Attributes:
      alpha: coefficients on the supports.
      residual: max |alpha - D (y - f)| / 2C, over all classes.
      products: products with the Gram matrix.
    """

    alpha: Float[Array, "classes n"]
    residual: Float[Array, ""]
    products: Float[Array, ""]


class _State(NamedTuple):
    alpha: Float[Array, "classes n"]
    f: Float[Array, "classes n"]
    residual: Float[Array, ""]
    done: Array
    step: Array
    products: Array


def solve(
    gram: Float[Array, "n n"], sign: Float[Array, "classes n"], slope: Float[Array, ""], stop: float, may_stall: float
) -> Solution:
    """Minimise the loss of svm.py for each class.

    Args:
      gram: K + 1, the inner products of the supports with the intercept's.
      sign: y, 1 where a support is of a class and -1 elsewhere.
      slope: 2 C.
      stop: the residual at which to end.
      may_stall: below this residual, a step that does not halve the residual ends the iteration.

    Returns:
      the solution with its residual.
    """
    diagonal = 1.0 / slope

    def newton_step(s: _State) -> _State:
        inside = jnp.where(sign * s.f < 1.0, 1.0, 0.0).astype(gram.dtype)
        kept = inside * s.alpha
        right = sign - times(kept, gram) - diagonal * kept
        # Removing the supports outside the margin can raise the residual much, and one step lowers it again. Therefore
        # the residual of the whole problem decides.
        left = jnp.minimum(s.residual, jnp.abs(inside * right).max())
        goal = jnp.maximum(_FORCING * left, 0.3 * stop)
        found, count = solve_inside(gram, inside, diagonal, right, goal, _MOST_PRODUCTS)
        direction = kept + found - s.alpha
        along = times(direction, gram)

        def ascent(size):
            """The objective's derivative along the step: it increases with the step size, and is zero at the minimum."""
            f = s.f + size[:, None] * along
            here = s.alpha + size[:, None] * direction
            return (along * (here - slope * jnp.where(sign * f < 1.0, sign - f, 0.0))).sum(1)

        def halve(_, between):
            low, high = between
            middle = 0.5 * (low + high)
            beyond = ascent(middle) > 0
            return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

        # In float32 the derivative is more precise than differences of the objective, which is a sum over all supports.
        one = jnp.ones(sign.shape[0], gram.dtype)
        low, high = lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(one), one))
        size = jnp.where(
            ascent(one) <= _CURVATURE * jnp.abs(ascent(jnp.zeros_like(one))), one, jnp.where(low > 0, low, high)
        )
        alpha = s.alpha + size[:, None] * direction
        f = times(alpha, gram)
        residual = jnp.abs(diagonal * alpha - jnp.where(sign * f < 1.0, sign - f, 0.0)).max()
        stalled = (residual <= may_stall) & (residual > 0.5 * s.residual)
        done = (residual <= stop) | stalled
        return _State(alpha, f, residual, done, s.step + 1, s.products + count + 3)

    zeros = jnp.zeros_like(sign)
    start = _State(zeros, zeros, jnp.full((), jnp.inf, gram.dtype), jnp.bool_(False), jnp.int32(0), jnp.int32(0))
    end = lax.while_loop(lambda s: ~s.done & (s.step < _MOST_STEPS), newton_step, start)
    return Solution(end.alpha, end.residual, end.products.astype(gram.dtype))
