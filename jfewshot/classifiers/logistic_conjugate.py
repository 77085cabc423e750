"""Multinomial logistic regression on one episode by nonlinear conjugate gradients: for kernels that keep an episode in registers.

The problem is that of logistic.py: minimise the loss plus (penalty / 2) sum_c alpha_c K alpha_c over coefficients alpha
and intercepts b, with scores z = alpha K + b and K centred. In the inner product <d, d'>_K = d K d' + scale e e' of
coefficients and intercepts, the gradient is (G, r) = (P - Y + penalty alpha, sum(P - Y) / scale), so one product G K
per step gives everything else by recurrence: the direction is (p, q) = -(G, r) + beta (p, q) before, and moves the
scores by t = p K + q. The step length is that of Newton's method along the direction, and beta makes the direction
conjugate to the previous one with respect to the Hessian at its start (Daniel, 1967), so no older gradient is kept. No
matrix is factorised: normalised embeddings at C = 1 take 3 to 13 products.

Far from the origin (C of 100, embeddings of norm 10) a step may overshoot, or the solver may need hundreds of products.
The residual is then large, and the caller solves such an episode by stages (logistic.py), which always descend.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# One array [supports] for each class, and one number for each class.
Coefficients = tuple[jax.Array, ...]
Intercepts = tuple[jax.Array, ...]
_TINY = 1e-30


class Solution(NamedTuple):
    """The last state of the iteration.

    Attributes:
      alpha: coefficients on the supports.
      bias: intercepts for centred inner products.
      residual: max |P - Y + penalty alpha| / max |P - Y|, from `alpha` and `bias` and not from the recurrences.
      products: number of products with the Gram matrix, without the product for the residual.
    """

    alpha: Coefficients
    bias: Intercepts
    residual: jax.Array
    products: jax.Array


class _State(NamedTuple):
    alpha: Coefficients
    bias: Intercepts
    z: Coefficients
    error: Coefficients  # P - Y
    direction: Coefficients
    direction_bias: Intercepts
    moved: Coefficients  # direction K, without the intercepts
    residual: jax.Array
    products: jax.Array


def solve(
    gram: jax.Array,
    target: Coefficients,
    inside: jax.Array,
    n_support: int,
    penalty: jax.Array,
    stop: float,
    most: int,
) -> Solution:
    """Minimise the loss of logistic.py.

    Args:
      gram: centred inner products of the supports, supports x supports; 0 in padding.
      target: Y, 1 where a support is of a class.
      inside: 1 for supports, 0 in padding.
      n_support: number of supports.
      penalty: 1 / C, or 2 / C for two classes.
      stop: the residual at which to end.
      most: the largest number of products.

    Returns:
      the solution with its residual.
    """
    tree = jax.tree.map
    n_way = len(target)
    # Gives the intercepts the smallest curvature that coefficients can have.
    scale = n_support / (n_way * penalty)

    def error_of(z: Coefficients) -> Coefficients:
        """P - Y without cancellation: the element of a support's own class is minus the sum of the others."""
        highest = functools.reduce(jnp.maximum, z)
        unnormalised = tree(lambda z: jnp.exp(z - highest), z)
        factor = inside / sum_(unnormalised)
        others = tree(lambda x, y: x * factor * (1.0 - y), unnormalised, target)
        summed = sum_(others)
        return tree(lambda x, y: x - y * summed, others, target)

    def relative_residual(error: Coefficients, alpha: Coefficients) -> jax.Array:
        left = functools.reduce(jnp.maximum, tree(lambda x, a: jnp.abs(x + penalty * a), error, alpha)).max()
        return left / functools.reduce(jnp.maximum, tree(jnp.abs, error)).max()

    def step(s: _State) -> _State:
        gradient = tree(lambda x, a: x + penalty * a, s.error, s.alpha)
        gradient_bias = tree(lambda x: x.sum() / scale, s.error)
        probability = tree(jnp.add, s.error, target)

        def bent(moved: Coefficients) -> Coefficients:
            """The Hessian of the loss times a movement of the scores."""
            mean = sum_(tree(jnp.multiply, probability, moved))
            return tree(lambda p, x: p * (x - mean), probability, moved)

        def curvature(p: Coefficients, u: Coefficients, t: Coefficients, bent_t: Coefficients) -> jax.Array:
            return sum_(tree(lambda p, u, t, v: penalty * p * u + t * v, p, u, t, bent_t)).sum()

        product = times(gradient, gram)
        before = tree(jnp.add, s.moved, s.direction_bias)
        bent_before = bent(before)
        along = curvature(s.direction, product, tree(jnp.add, product, gradient_bias), bent_before)
        beta = along / jnp.maximum(curvature(s.direction, s.moved, before, bent_before), _TINY)
        direction = tree(lambda g, p: beta * p - g, gradient, s.direction)
        direction_bias = tree(lambda r, q: beta * q - r, gradient_bias, s.direction_bias)
        moved = tree(lambda w, u: beta * u - w, product, s.moved)
        t = tree(jnp.add, moved, direction_bias)
        slope = sum_(tree(lambda g, u, x, q: g * u + x * q, gradient, moved, s.error, direction_bias)).sum()
        size = -slope / jnp.maximum(curvature(direction, moved, t, bent(t)), _TINY)
        alpha = tree(lambda a, p: a + size * p, s.alpha, direction)
        z = tree(lambda z, t: z + size * t, s.z, t)
        error = error_of(z)
        return _State(
            alpha=alpha,
            bias=tree(lambda b, q: b + size * q, s.bias, direction_bias),
            z=z,
            error=error,
            direction=direction,
            direction_bias=direction_bias,
            moved=moved,
            residual=relative_residual(error, alpha),
            products=s.products + 1,
        )

    zeros = tree(jnp.zeros_like, target)
    nothing = tree(jnp.sum, zeros)
    start = _State(
        alpha=zeros,
        bias=nothing,
        z=zeros,
        error=tree(lambda y: inside * (1.0 / n_way - y), target),
        direction=zeros,
        direction_bias=nothing,
        moved=zeros,
        residual=jnp.float32(jnp.inf),
        products=jnp.int32(0),
    )
    end = lax.while_loop(lambda s: (s.residual > stop) & (s.products < most), step, start)
    z = tree(jnp.add, times(end.alpha, gram), end.bias)
    return Solution(end.alpha, end.bias, relative_residual(error_of(z), end.alpha), end.products)


def times(x: Coefficients, gram: jax.Array) -> Coefficients:
    """Product with a Gram matrix.

    The sums run over the first axis: on a GPU the columns are distributed over a program's threads, and each thread
    sums whole columns.

    Args:
      x: coefficients.
      gram: symmetric, supports x supports, or supports x queries.

    Returns:
      one array per class.
    """
    found: list[jax.Array] = []
    for values in x:
        # This adds zero, but the compiler cannot know that. Without it, a GPU's program would need registers for the
        # values of all classes at once, which are more registers than it has.
        after = values + 0.0 * found[-1] if found and gram.shape[0] == gram.shape[1] else values
        found.append((gram * after[:, None]).sum(0))
    return tuple(found)


def sum_(x: Coefficients) -> jax.Array:
    """Sum over the classes."""
    return functools.reduce(jnp.add, x)
