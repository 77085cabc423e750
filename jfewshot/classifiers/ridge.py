"""Ridge regression on the labels."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from jfewshot.classifiers import leave_one_out
from jfewshot.classifiers.base import Diagnostics, Linear, Strength, Support, centred
from jfewshot.classifiers.linalg import computed_once, inverse, largest, product, total, trace
from jfewshot.classifiers.many_supports import MANY, one_at_a_time_at, solve_inside, times

# Residual at which conjugate gradients stop; the labels are of order one, and predictions then change by less than
# 1e-5.
_STOP = 2e-6
_MOST_PRODUCTS = 100


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Least squares on labels of +1 and -1 with penalty alpha |W|^2 and a free intercept: scikit-learn's RidgeClassifier.

    With the supports' mean subtracted from K and the mean of the labels from Y, the coefficients are (K + alpha I)^-1
    Y: one solve. Episodes of many supports solve that system by conjugate gradients, or by a factorisation if conjugate
        gradients do not converge.

    The residual is max |Y - K A - alpha A|, for coefficients A and labels of order one.
    """

    strength: ClassVar[Strength | None] = Strength("alpha", 1.0, grid=tuple(10.0**k for k in range(-5, 5)))
    translation_invariant: ClassVar[bool] = True
    tolerance: ClassVar[float | None] = 1e-3

    def fit(self, support: Support, strength):
        gram, mean_row = centred(support.gram)
        target = 2.0 * support.one_hot - 1.0
        mean_target = target.mean(0)
        right = target - mean_target
        solve = _by_inverse if support.n_support <= MANY else _by_gradients
        alpha, iterations = solve(gram, right, strength)
        residual = largest(largest(jnp.abs(right - computed_once(product, gram, alpha) - strength * alpha), 1), 0)
        # The sums are zero except for rounding errors, which queries far from the supports' mean would multiply by
        # thousands.
        alpha = alpha - (total(alpha, 0) / support.n_support)[None]
        return Linear(alpha, mean_target - total(mean_row[:, None] * alpha, 0)), Diagnostics(residual, iterations)

    def choose(self, support: Support):
        """Leave-one-out of the model itself."""
        assert self.strength is not None
        return leave_one_out.choose(support, np.array(self.strength.grid), one_shot=1.0)

    def score(self, model, support, gram_qs):
        return model.scores(gram_qs)


def _by_inverse(gram, right, strength):
    n, _, episodes = gram.shape
    # K is centred, so K maps equal coefficients to zero, and K + alpha I is nearly singular if alpha is small. The
    # labels have no component in that direction. Adding a positive number in that direction keeps the inverse exact.
    in_mean = trace(gram) / n**2
    solve = inverse(gram + in_mean + strength * jnp.eye(n, dtype=gram.dtype)[:, :, None])
    right = jnp.broadcast_to(right, (*right.shape[:2], episodes))
    alpha = computed_once(product, solve, right)
    # One step of refinement: the explicit inverse loses digits if alpha is small compared with the Gram matrix.
    alpha = alpha + computed_once(product, solve, right - computed_once(product, gram, alpha) - strength * alpha)
    return alpha, jnp.ones(episodes, gram.dtype)


def _by_gradients(gram, right, strength):
    labels = right[:, :, 0].T
    everywhere = jnp.ones_like(labels)

    def solve(gram, strength):
        x, count = solve_inside(gram, everywhere, strength, labels, jnp.asarray(_STOP, gram.dtype), _MOST_PRODUCTS)
        # The residual that conjugate gradients update differs more and more from the true residual, so solve once more
        # for the true residual.
        left = labels - times(x, gram) - strength * x
        more, more_count = solve_inside(
            gram, everywhere, strength, left, jnp.asarray(_STOP, gram.dtype), _MOST_PRODUCTS
        )
        return x + more, (count == _MOST_PRODUCTS) | (more_count == _MOST_PRODUCTS), count + more_count

    alpha, failed, products = one_at_a_time_at(solve, gram, strength)
    alpha = jnp.swapaxes(alpha, 0, 1)

    def by_inverse(alpha):
        return jnp.where(failed, _by_inverse(gram, right, strength)[0], alpha)

    alpha = lax.cond(failed.any(), by_inverse, lambda alpha: alpha, alpha)
    return alpha, products.astype(gram.dtype)
