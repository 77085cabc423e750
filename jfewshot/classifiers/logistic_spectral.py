"""Multinomial logistic regression on one episode by Newton's method, in the eigenbasis of its Gram matrix.

The problem is that of logistic.py. With K = V diag(w) V^T and X = V diag(sqrt(w)), weights W in this basis have the
gradient (P - Y) X + penalty W. A Newton step's system is solved by conjugate gradients, and the basis gives their
preconditioner: with d the mean curvature p (1 - p), the operator is nearly penalty + d w in each coordinate. So large
C, where its eigenvalues spread over as many decades as those of K, takes few products, and directions in which the
supports hardly differ are solved as accurately as the others. At C = 10,000 the scores of the sample cells' queries
have errors of 1e-4 of the largest score. With the stages of logistic.py, which end at the limit of float32, the errors
are 2e-3 to 2e-2.

The choice of C needs this decomposition anyway (leave_one_out.py).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.logistic_many import Solution
from jfewshot.classifiers.many_supports import dot, times

_FORCING = 0.05  # relative residual of a Newton step's system
_MOST_PRODUCTS = 60  # for a Newton step
_MOST_STEPS = 16
_SHORTEST = 1e-3  # a shorter step makes no difference that float32 can represent
_LEAST_CURVATURE = 1e-7
# Eigenvalues below this share of the largest are rounding errors of float32; coefficients there would only increase the
# scores' rounding errors.
_NOISE = 3e-7
_TINY = 1e-30


class _State(NamedTuple):
    weights: Float[Array, "n_way rank"]
    bias: Float[Array, "n_way"]
    alpha: Float[Array, "n_way n"]
    residual: Float[Array, ""]
    done: Array
    step: Array
    products: Array


def solve(
    values: Float[Array, "rank"],
    vectors: Float[Array, "n rank"],
    target: Float[Array, "n_way n"],
    penalty: Float[Array, ""],
    stop: float,
    may_stall: float,
) -> Solution:
    """Minimise the loss of logistic.py.

    Args:
      values: eigenvalues of the centred Gram matrix, without that of the constant eigenvector.
      vectors: eigenvectors, one per column.
      target: Y, 1 where a support is of a class.
      penalty: 1 / C, or 2 / C for two classes.
      stop: the residual at which to end.
      may_stall: below this residual, a step that does not halve the residual ends the iteration.

    Returns:
      the solution with its residual.
    """
    n_way, n = target.shape
    root = jnp.sqrt(values)
    x = (vectors * root).T  # rank x n
    back = vectors.T  # rank x n
    seen = values > _NOISE * values.max()

    def curves(z):
        highest = z.max(0)
        unnormalised = jnp.exp(z - highest)
        summed = unnormalised.sum(0)
        return unnormalised / summed, highest + jnp.log(summed)

    def error(p):
        """P - Y without cancellation: the element of a support's own class is minus the sum of the others."""
        others = p * (1.0 - target)
        return others - target * others.sum(0)

    def coefficients(weights, at_error, curvature):
        """Coefficients on the supports: from the weights, or from the optimality condition if an eigenvalue is nearly zero."""
        of_condition = -times(at_error, back.T) / penalty
        of_weights = weights / jnp.maximum(root, _TINY)
        rotated = jnp.where(curvature * values >= penalty, of_weights, of_condition)
        return times(jnp.where(seen, rotated, 0.0), back)

    def relative_residual(gradient, curvature, at_error):
        """The violation of the condition P - Y + penalty alpha = 0, as a share of P - Y.

        Coefficients that were computed from the condition violate it by the change of P - Y that they cause.
        """
        missed = gradient / jnp.maximum(root, _TINY) * jnp.minimum(1.0, curvature * values / penalty)
        return jnp.abs(times(jnp.where(seen, missed, 0.0), back)).max() / jnp.abs(at_error).max()

    def newton_step(s: _State) -> _State:
        z = times(s.weights, x) + s.bias[:, None]
        p, log_sum = curves(z)
        at_error = error(p)
        gradient = times(at_error, x.T) + penalty * s.weights
        curvature = jnp.maximum((p * (1.0 - p)).mean(), _LEAST_CURVATURE)
        d, e, count = _direction(x, p, penalty, gradient, at_error.sum(1), penalty + curvature * values, curvature * n)
        moved = times(d, x) + e[:, None]

        def objective(z, log_sum, weights):
            return (log_sum - (z * target).sum(0)).sum() + 0.5 * penalty * dot(weights, weights)

        value = objective(z, log_sum, s.weights)

        def goes_up(size):
            trial = z + size * moved
            there = objective(trial, curves(trial)[1], s.weights + size * d)
            return there > value + 1e-5 * jnp.abs(value) + 1e-6

        one = jnp.ones((), x.dtype)
        size = lax.while_loop(lambda size: goes_up(size) & (size > _SHORTEST), lambda size: 0.5 * size, one)
        weights, bias = s.weights + size * d, s.bias + size * e
        bias = bias - bias.mean()
        there = curves(times(weights, x) + bias[:, None])[0]
        left = error(there)
        curvature = jnp.maximum((there * (1.0 - there)).mean(), _LEAST_CURVATURE)
        alpha = coefficients(weights, left, curvature)
        residual = relative_residual(times(left, x.T) + penalty * weights, curvature, left)
        done = (residual <= stop) | ((residual <= may_stall) & (residual > 0.5 * s.residual))
        return _State(weights, bias, alpha, residual, done, s.step + 1, s.products + count + 2)

    zeros = jnp.zeros((n_way, len(values)), x.dtype)
    start = _State(
        zeros,
        zeros[:, 0],
        jnp.zeros_like(target),
        jnp.full((), jnp.inf, x.dtype),
        jnp.bool_(False),
        jnp.int32(0),
        jnp.int32(0),
    )
    end = lax.while_loop(lambda s: ~s.done & (s.step < _MOST_STEPS), newton_step, start)
    return Solution(end.alpha, end.bias, end.residual, end.products.astype(x.dtype))


class _Gradients(NamedTuple):
    """Vectors of weights and of intercepts, in the iteration of conjugate gradients."""

    d: Float[Array, "n_way rank"]
    e: Float[Array, "n_way"]
    r: Float[Array, "n_way rank"]
    r_bias: Float[Array, "n_way"]
    p: Float[Array, "n_way rank"]
    p_bias: Float[Array, "n_way"]
    rz: Float[Array, ""]
    steps: Array


def _direction(x, probability, penalty, gradient, gradient_bias, scale, scale_bias):
    """An approximate Newton step: weights, intercepts, and steps taken; `scale` is the preconditioner's inverse."""

    def step(s: _Gradients) -> _Gradients:
        u = times(s.p, x) + s.p_bias[:, None]
        hessian = probability * (u - (probability * u).sum(0))
        q, q_bias = times(hessian, x.T) + penalty * s.p, hessian.sum(1)
        a = s.rz / jnp.maximum(dot(s.p, q) + dot(s.p_bias, q_bias), _TINY)
        r, r_bias = s.r - a * q, s.r_bias - a * q_bias
        z, z_bias = r / scale, r_bias / scale_bias
        rz = dot(r, z) + dot(r_bias, z_bias)
        b = rz / jnp.maximum(s.rz, _TINY)
        return _Gradients(
            s.d + a * s.p, s.e + a * s.p_bias, r, r_bias, z + b * s.p, z_bias + b * s.p_bias, rz, s.steps + 1
        )

    r, r_bias = -gradient, -gradient_bias
    z, z_bias = r / scale, r_bias / scale_bias
    rz = dot(r, z) + dot(r_bias, z_bias)
    start = _Gradients(jnp.zeros_like(r), jnp.zeros_like(r_bias), r, r_bias, z, z_bias, rz, jnp.int32(0))
    goal = _FORCING**2 * rz
    end = lax.while_loop(lambda s: (s.rz > goal) & (s.steps < _MOST_PRODUCTS), step, start)
    return end.d, end.e, end.steps
