"""Linear support vector machine, one-vs-rest."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from jfewshot.classifiers import leave_one_out, svm_many
from jfewshot.classifiers.base import Diagnostics, Linear, Strength, Support
from jfewshot.classifiers.linalg import inverse, product
from jfewshot.classifiers.many_supports import MANY, one_at_a_time_at

_STOP = 1e-5
# A Newton step that makes no progress below this residual has reached the limit of float32.
_MAY_STALL = 3e-4
_SHARED_STEPS = 12
_NEWTON_STEPS = 30


@dataclasses.dataclass(frozen=True)
class SVM:
    """One-vs-rest with squared hinge loss: C sum max(0, 1 - y f)^2 + |w|^2 / 2, as scikit-learn's LinearSVC, which treats the
    intercept as one more weight and so *penalises* it; hence K + 1 instead of K, and no invariance to translation.

    With D = 2 C on the supports inside the margin and 0 elsewhere, the optimum has alpha = D (y - K alpha): a linear
    system once that set is known. First all classes share one system, in which every support is inside the margin. Its
    curvature is an upper bound of the loss's curvature, so accelerated steps with it descend. For the few supports and
    the values of C of few-shot problems the first step is mostly the solution. Problems that have not converged then
    take Newton steps (Keerthi and DeCoste, 2005), each with its own system; a step that would not descend is halved.

    Episodes of many supports take Newton steps with conjugate gradients from the beginning (svm_many.py), and the steps
    above if these do not converge.

    The residual is max |alpha - D (y - f)| / 2C, the error of a margin.
    """

    strength: ClassVar[Strength | None] = Strength("C", 1.0, grid=tuple(10.0**k for k in range(-6, 4)))
    translation_invariant: ClassVar[bool] = False
    tolerance: ClassVar[float | None] = 1e-3

    def fit(self, support: Support, strength):
        gram = support.gram + 1.0
        # With two classes the two problems are mirror images, so solve only that of the second class.
        sign = 2.0 * support.one_hot - 1.0
        sign = sign[:, 1:] if support.n_way == 2 else sign
        solve = self._side_by_side if support.n_support <= MANY else self._one_at_a_time
        alpha, residual, iterations = solve(gram, sign, 2.0 * strength)
        if support.n_way == 2:
            alpha = jnp.concatenate([-alpha, alpha], 1)
        return Linear(alpha, alpha.sum(0)), Diagnostics(residual, iterations)

    def _one_at_a_time(self, gram, sign, slope):
        """Solve each episode by Newton's method with conjugate gradients, or by factorisations if that does not converge."""
        alpha, residual, products = one_at_a_time_at(
            lambda gram, slope: svm_many.solve(gram, sign[:, :, 0].T, slope, _STOP, _MAY_STALL), gram, slope
        )
        found = (jnp.swapaxes(alpha, 0, 1), residual, products)

        def factorised(found):
            again = self._side_by_side(gram, sign, slope)
            better = again[1] < found[1]
            return tuple(jnp.where(better, new, old) for new, old in zip(again, found, strict=True))

        return lax.cond((residual > self.tolerance).any(), factorised, lambda found: found, found)

    def _side_by_side(self, gram, sign, slope):
        """Solve all episodes at once with explicit inverses; returns coefficients, residuals and iterations."""
        n, episodes = gram.shape[0], gram.shape[-1]
        sign = jnp.broadcast_to(sign, (*sign.shape[:2], episodes))
        identity = jnp.eye(n, dtype=gram.dtype)[:, :, None]

        def violation(alpha, f):
            """Half the gradient in coefficient space over C: alpha / 2C - (y - f) inside the margin."""
            inside = sign * f < 1.0
            return alpha / slope - jnp.where(inside, sign - f, 0.0)

        shared = inverse(identity / slope + gram)

        def shared_step(carry):
            alpha, f, at_alpha, at_f, momentum, _, count = carry
            gradient = violation(at_alpha, at_f)
            new_alpha = at_alpha - product(shared, gradient)
            new_f = product(gram, new_alpha)
            uphill = (gradient * (new_f - f)).sum(0) > 0
            momentum = jnp.where(uphill, 1.0, momentum)
            next_momentum = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * momentum * momentum))
            beta = (momentum - 1.0) / next_momentum
            residual = jnp.abs(violation(new_alpha, new_f)).max((0, 1))
            ahead = (new_alpha + beta * (new_alpha - alpha), new_f + beta * (new_f - f))
            return new_alpha, new_f, *ahead, next_momentum, residual, count + 1

        zeros = jnp.zeros_like(sign)
        infinite = jnp.full(episodes, jnp.inf, gram.dtype)
        carry = (zeros, zeros, zeros, zeros, jnp.ones(sign.shape[1:], gram.dtype), infinite, jnp.int32(0))
        carry = lax.while_loop(lambda c: (c[-1] < _SHARED_STEPS) & (c[-2] > _STOP).any(), shared_step, carry)
        alpha, f, residual, steps = carry[0], carry[1], carry[-2], carry[-1]

        alpha, residual, newton_steps = _newton(gram, sign, slope, alpha, f, residual)
        return alpha, residual, jnp.full(episodes, steps + newton_steps, gram.dtype)

    def choose(self, support: Support):
        """Leave-one-out of ridge regression at the penalty 1 / C.

        With all supports inside the margin, the loss is that of ridge regression at 1 / 2C. At the end of training some
        supports are outside; twice the penalty gave the best choices (studies/auto_strength.py). With one shot, C is
        0.7 / spread.
        """
        assert self.strength is not None
        return leave_one_out.choose(support, 1.0 / np.array(self.strength.grid), one_shot=1.0 / 0.7)

    def score(self, model, support, gram_qs):
        return model.scores(gram_qs)


def _newton(gram, sign, slope, alpha, f, residual):
    """Newton steps on each class's problem separately; the last axis holds all problems of all episodes."""
    n, classes, episodes = sign.shape
    identity = jnp.eye(n, dtype=gram.dtype)[:, :, None, None]

    def objective(alpha, f):
        return 0.5 * (alpha * f).sum(0) + 0.5 * slope * (jnp.maximum(0.0, 1.0 - sign * f) ** 2).sum(0)

    def step(carry):
        alpha, f, before, _, count = carry
        inside = jnp.where(sign * f < 1.0, 1.0, 0.0)
        # (I / 2C + D K) alpha = D y on the supports inside; outside alpha is zero.
        system = identity / slope + inside[:, None] * gram[:, :, None] * inside[None]
        solve, right = inverse(system), (inside * sign)[:, None]
        target = product(solve, right)
        # One step of refinement recovers the digits that the explicit inverse loses if C |x|^2 is large.
        target = target + product(solve, right - product(system, target))
        direction = target[:, 0] * inside - alpha
        along = product(gram, direction)
        value = objective(alpha, f)

        def shorten(state):
            size, _ = state
            trial = objective(alpha + size * direction, f + size * along)
            return jnp.where(trial > value + 1e-6 * jnp.abs(value), 0.5 * size, size), trial

        size = lax.fori_loop(0, 6, lambda _, state: shorten(state), (jnp.ones_like(value), value))[0]
        alpha = alpha + size * direction
        f = product(gram, alpha)
        left = jnp.abs(alpha / slope - jnp.where(sign * f < 1.0, sign - f, 0.0)).max((0, 1))
        stalled = (left <= _MAY_STALL) & (left > 0.5 * before) & (count >= 6)
        return alpha, f, left, (left <= _STOP) | stalled, count + 1

    carry = (alpha, f, residual, residual <= _STOP, jnp.int32(0))
    carry = lax.while_loop(lambda c: (c[-1] < _NEWTON_STEPS) & (~c[-2]).any(), step, carry)
    return carry[0], carry[2], carry[-1]
