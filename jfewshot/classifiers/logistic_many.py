"""Multinomial logistic regression on one episode of many supports, by Newton's method with conjugate gradients.

The problem is that of logistic.py. A Newton step (d, e) on coefficients and intercepts solves

    penalty d + H u - mean(H u) = -(gradient),   sum(H u) = -sum(P - Y),   u = d K + e,

where H = diag(p) - p p^T acts on the classes of each support. With K centred, the operator on the left is symmetric and positive
in the inner product <(d, e), (d', e')> = d K d' + scale e e', so conjugate gradients apply (Hestenes and Stiefel, 1952). The
products with K of all their vectors follow by recurrence from one product a step. Each system is solved to a fraction of its
right-hand side only (Dembo, Eisenstat and Steihaug, 1982): normalised embeddings take 10 to 35 products in all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.many_supports import dot, times

# Relative residual of a Newton step's system, in the norm above; of 0.2, 0.05 and 0.01 the middle one needs the fewest
# products.
_FORCING = 0.05
_MOST_PRODUCTS = 100  # for a Newton step
_MOST_STEPS = 12
# A shorter step makes no difference that float32 can represent.
_SHORTEST = 1e-3
_TINY = 1e-30


class Solution(NamedTuple):
    """The last state of Newton's method.

    Attributes:
      alpha: coefficients on the supports; they sum to zero for each class.
      bias: intercepts.
      residual: max |P - Y + penalty alpha| / max |P - Y|.
      products: products with the Gram matrix.
    """

    alpha: Float[Array, "n_way n"]
    bias: Float[Array, "n_way"]
    residual: Float[Array, ""]
    products: Float[Array, ""]


class _State(NamedTuple):
    alpha: Float[Array, "n_way n"]
    bias: Float[Array, "n_way"]
    product: Float[Array, "n_way n"]  # alpha K
    residual: Float[Array, ""]
    done: Array
    step: Array
    products: Array


def solve(
    gram: Float[Array, "n n"], target: Float[Array, "n_way n"], penalty: Float[Array, ""], stop: float, may_stall: float
) -> Solution:
    """Minimise the loss of logistic.py.

    Args:
      gram: centred inner products of the supports.
      target: Y, 1 where a support is of a class.
      penalty: 1 / C, or 2 / C for two classes.
      stop: the residual at which to end.
      may_stall: below this residual, a step that does not halve the residual ends the iteration.

    Returns:
      the solution with its residual.
    """

    def curves(z):
        highest = z.max(0)
        unnormalised = jnp.exp(z - highest)
        summed = unnormalised.sum(0)
        return unnormalised / summed, highest + jnp.log(summed)

    def error(p):
        """P - Y without cancellation: the element of a support's own class is minus the sum of the others."""
        others = p * (1.0 - target)
        return others - target * others.sum(0)

    def objective(z, log_sum, alpha, product):
        return (log_sum - (z * target).sum(0)).sum() + 0.5 * penalty * dot(alpha, product)

    def newton_step(s: _State) -> _State:
        z = s.product + s.bias[:, None]
        p, log_sum = curves(z)
        at_error = error(p)
        gradient = at_error + penalty * s.alpha
        gradient = gradient - gradient.mean(1, keepdims=True)
        d, e, moved, count = _direction(gram, p, penalty, gradient, at_error.sum(1))
        value = objective(z, log_sum, s.alpha, s.product)

        def goes_up(size):
            trial = z + size * (moved + e[:, None])
            there = objective(trial, curves(trial)[1], s.alpha + size * d, s.product + size * moved)
            return there > value + 1e-5 * jnp.abs(value) + 1e-6

        one = jnp.ones((), gram.dtype)
        size = lax.while_loop(lambda size: goes_up(size) & (size > _SHORTEST), lambda size: 0.5 * size, one)
        alpha = s.alpha + size * d
        alpha = alpha - alpha.mean(1, keepdims=True)
        bias = s.bias + size * e
        bias = bias - bias.mean()
        product = times(alpha, gram)
        left = error(curves(product + bias[:, None])[0])
        residual = jnp.abs(left + penalty * alpha).max() / jnp.abs(left).max()
        done = (residual <= stop) | ((residual <= may_stall) & (residual > 0.5 * s.residual))
        return _State(alpha, bias, product, residual, done, s.step + 1, s.products + count + 2)

    zeros = jnp.zeros_like(target)
    start = _State(
        zeros, zeros[:, 0], zeros, jnp.full((), jnp.inf, gram.dtype), jnp.bool_(False), jnp.int32(0), jnp.int32(0)
    )
    end = lax.while_loop(lambda s: ~s.done & (s.step < _MOST_STEPS), newton_step, start)
    return Solution(end.alpha, end.bias, end.residual, end.products.astype(gram.dtype))


class _Gradients(NamedTuple):
    """Vectors of coefficients and of intercepts, and the products of the coefficients with the Gram matrix."""

    d: jax.Array
    e: jax.Array
    moved: jax.Array
    r: jax.Array
    r_bias: jax.Array
    r_moved: jax.Array
    p: jax.Array
    p_bias: jax.Array
    p_moved: jax.Array
    rr: jax.Array
    steps: jax.Array


def _direction(gram, probability, penalty, gradient, gradient_bias):
    """An approximate Newton step: coefficients, intercepts, the coefficients' product with the Gram matrix, steps taken."""
    n_way, n = probability.shape
    # Gives the intercepts a curvature of the same order as the coefficients have.
    scale = n / (n_way * penalty)

    def norm(r, r_bias, r_moved):
        return dot(r, r_moved) + scale * dot(r_bias, r_bias)

    def step(s: _Gradients) -> _Gradients:
        u = s.p_moved + s.p_bias[:, None]
        hessian = probability * (u - (probability * u).sum(0))
        q = penalty * s.p + hessian - hessian.mean(1, keepdims=True)
        q_moved = penalty * s.p_moved + times(hessian, gram)
        a = s.rr / jnp.maximum(penalty * dot(s.p, s.p_moved) + dot(u, hessian), _TINY)
        r, r_moved = s.r - a * q, s.r_moved - a * q_moved
        r_bias = s.r_bias - a * hessian.sum(1) / scale
        rr = jnp.maximum(norm(r, r_bias, r_moved), 0.0)
        b = rr / jnp.maximum(s.rr, _TINY)
        return _Gradients(
            d=s.d + a * s.p,
            e=s.e + a * s.p_bias,
            moved=s.moved + a * s.p_moved,
            r=r,
            r_bias=r_bias,
            r_moved=r_moved,
            p=r + b * s.p,
            p_bias=r_bias + b * s.p_bias,
            p_moved=r_moved + b * s.p_moved,
            rr=rr,
            steps=s.steps + 1,
        )

    r, r_bias = -gradient, -gradient_bias / scale
    r_moved = times(r, gram)
    rr = norm(r, r_bias, r_moved)
    zeros, zeros_bias = jnp.zeros_like(r), jnp.zeros_like(r_bias)
    start = _Gradients(zeros, zeros_bias, zeros, r, r_bias, r_moved, r, r_bias, r_moved, rr, jnp.int32(0))
    goal = _FORCING**2 * rr
    end = lax.while_loop(lambda s: (s.rr > goal) & (s.steps < _MOST_PRODUCTS), step, start)
    # If there are more supports than dimensions, some coefficients give weights of zero. The norm ignores such
    # coefficients, but the residual does not. For them the operator is only the penalty, so one division solves them.
    return end.d + end.r / penalty, end.e, end.moved + end.r_moved / penalty, end.steps
