"""Multinomial logistic regression, converged."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers import leave_one_out, logistic_many, logistic_spectral
from jfewshot.classifiers.base import Diagnostics, Linear, Strength, Support, centred
from jfewshot.classifiers.linalg import computed_once, inverse, largest, log_sum_exp, product, softmax, total
from jfewshot.classifiers.many_supports import MANY, one_at_a_time, one_at_a_time_at

# The relative residual at which a problem is finished; further steps would change its scores by about 1e-5.
_STOP = 1e-5
# A stage that makes no progress below this residual has reached the limit of float32.
_MAY_STALL = 2e-4
# Mostly, the residual of an exact solution when it is computed from the coefficients in float32.
_ROUNDING = 1e-4
# Steps between two updates of the curvature; most problems with normalised embeddings end within the first eight steps.
_STEPS = 8
# The largest factor by which a step is prolonged, as a multiple of the difference from the previous step.
_FURTHEST = 8.0
_STAGES = 40
# The largest factors by which a support's curvature shrinks from one stage to the next, and grows after a stage that
# failed.
_SHRINK, _GROW = 0.25, 4.0
_LEAST_CURVATURE = 1e-7
_LARGEST_CURVATURE = 0.5
_TINY = 1e-30
# The curvature at the end of training divided by that at zero, for choosing C.
CURVATURE_LOST = 4.0
# With more supports than this, an episode that chooses C is solved in the eigenbasis that the choice needs anyway.
_SPECTRAL_FROM = 40


class _State(NamedTuple):
    alpha: Float[Array, "n_support n_way episodes"]
    bias: Float[Array, "n_way episodes"]
    z: Float[Array, "n_support n_way episodes"]  # the supports' scores, K alpha + bias
    residual: Float[Array, "episodes"]
    objective: Float[Array, "episodes"]
    curvature: Float[Array, "n_support episodes"]
    done: Array
    failed: Array  # whether the last stage was undone
    stage: Array
    iterations: Array


@dataclasses.dataclass(frozen=True)
class Logistic:
    """Softmax cross-entropy summed over the supports plus |W|^2 / (2 C), the intercept unpenalised: scikit-learn's
    LogisticRegression, whose two-class form (one weight vector, hence half the penalty) is used for 2 ways.

    On coefficients alpha with scores z = K alpha + b and P = softmax(z), the optimum has P - Y + alpha / C = 0 and
    columns of alpha that sum to zero. The Hessian acts as H K + 1 / C, where H_i = diag(p_i) - p_i p_i^T. Each *stage*
    replaces every H_i by d_i I with d_i a bound on its largest eigenvalue where the stage begins, solves that system
    exactly by one n x n inverse per episode, and takes a few steps with it, each prolonged according to the last two
    steps (Anderson acceleration). At zero H_i = (I - 11^T / n_way) / n_way, so the first stage starts with the exact
    Hessian: normalised embeddings take 4 to 8 steps in all, ill-conditioned problems (norm 100, C = 100) a few stages.
    A stage that raises the objective is undone and repeated with more curvature; with a curvature of 1/2 (Boehning,
    1992) every stage descends. Inner products must be small enough for float32, so first the store's mean is subtracted
    and then the supports' mean.

    Episodes of many supports are solved by Newton's method with conjugate gradients instead (logistic_many.py), and in stages
    where that does not converge.

    The residual is max |P - Y + alpha / C| / max |P - Y|. It is relative, because on separable supports P - Y can be
    1e-6 while the scores still grow. For the same reason P - Y is computed without cancellation: the element of a
    support's own class is minus the sum of the others.
    """

    strength: ClassVar[Strength | None] = Strength("C", 1.0, grid=tuple(10.0**k for k in range(-4, 6)))
    translation_invariant: ClassVar[bool] = True
    tolerance: ClassVar[float | None] = 1e-3
    probabilistic: ClassVar[bool] = True

    def fit(self, support: Support, strength):
        gram, mean_row = centred(support.gram)
        penalty = (2.0 if support.n_way == 2 else 1.0) / strength
        if support.n_support <= MANY:
            alpha, bias, residual, iterations = self._in_stages(support, gram, penalty)
        else:
            alpha, bias, residual, iterations = self._one_at_a_time(support, gram, penalty)
        return _about_the_mean(alpha, bias, mean_row), Diagnostics(residual, iterations)

    def choose_and_fit(self, support: Support):
        """Choose C for each episode and train with it.

        Args:
          support: the support sets of many episodes.

        Returns:
          the model and diagnostics, with the grid indices of the chosen strengths. With many supports, the residual is
          that of the weights in the eigenbasis (logistic_spectral.py).
        """
        assert self.strength is not None
        grid = jnp.asarray(self.strength.grid, support.gram.dtype)
        if support.k_shot == 1 or support.n_support <= _SPECTRAL_FROM:
            place = self.choose(support)
            model, diagnostics = self.fit(support, grid[place])
            return model, diagnostics._replace(chosen=place)
        gram, mean_row = centred(support.gram)
        found = leave_one_out.spectrum(gram)
        place = self.choose(support, found)
        penalty = (2.0 if support.n_way == 2 else 1.0) / grid[place]
        target = support.one_hot[:, :, 0].T
        alpha, bias, residual, products = one_at_a_time(
            lambda values, vectors, penalty: logistic_spectral.solve(
                values, vectors, target, penalty, _STOP, _MAY_STALL
            ),
            *found,
            penalty,
        )
        found_here = jnp.swapaxes(alpha, 0, 1), bias, residual, products
        alpha, bias, residual, products = self._again_in_stages(support, gram, penalty, found_here)
        return _about_the_mean(alpha, bias, mean_row), Diagnostics(residual, products, place)

    def _one_at_a_time(self, support: Support, gram, penalty):
        """Solve each episode by Newton's method, or by stages if Newton's method does not converge."""
        target = support.one_hot[:, :, 0].T
        alpha, bias, residual, products = one_at_a_time_at(
            lambda gram, penalty: logistic_many.solve(gram, target, penalty, _STOP, _MAY_STALL), gram, penalty
        )
        return self._again_in_stages(support, gram, penalty, (jnp.swapaxes(alpha, 0, 1), bias, residual, products))

    def _again_in_stages(self, support: Support, gram, penalty, found):
        """Coefficients, intercepts, residuals and iterations; episodes that did not converge are solved again by stages."""

        def in_stages(found):
            again = self._in_stages(support, gram, penalty)
            better = again[2] < found[2]
            return tuple(jnp.where(better, new, old) for new, old in zip(again, found, strict=True))

        return lax.cond((found[2] > self.tolerance).any(), in_stages, lambda found: found, found)

    def _in_stages(self, support: Support, gram, penalty):
        """Solve by stages; returns coefficients, intercepts for centred inner products, residuals and iterations."""
        n, way, episodes = support.n_support, support.n_way, gram.shape[-1]
        target = support.one_hot
        identity = jnp.eye(n, dtype=gram.dtype)[:, :, None]

        def objective(alpha, bias, z):
            loss = log_sum_exp(z) - total(z * target, 1)
            return total(loss + 0.5 * penalty * total(alpha * (z - bias), 1), 0)

        def error(z):
            """P - Y."""
            others = softmax(z) * (1.0 - target)
            return others - target * total(others, 1)[:, None]

        def relative_residual(error_, alpha):
            return _max_abs(error_ + penalty * alpha) / _max_abs(error_)

        def take_steps(state: _State, solve, first: bool):
            def step(carry):
                alpha, bias, z, at_alpha, at_bias, at_z, before, _, count = carry
                at_error = error(at_z)
                gradient = at_error + penalty * at_alpha
                both = -computed_once(product, solve, gradient)
                d_alpha, d_bias = both[:-1], both[-1]
                if first:
                    # K d_alpha + d_bias, taken from the system that d_alpha solves, which saves a product.
                    d_z = -way * (gradient + penalty * d_alpha)
                else:
                    d_z = computed_once(product, gram, d_alpha) + d_bias
                new_alpha, new_bias, new_z = at_alpha + d_alpha, at_bias + d_bias, at_z + d_z
                beta = computed_once(_prolongation, d_alpha, before, gradient, new_z - z)
                beta = jnp.where((count == 0) | state.failed, 0.0, beta)
                ahead = (
                    new_alpha + beta * (new_alpha - alpha),
                    new_bias + beta * (new_bias - bias),
                    new_z + beta * (new_z - z),
                )
                residual = relative_residual(at_error, at_alpha)
                return new_alpha, new_bias, new_z, *ahead, d_alpha, residual, count + 1

            here = (state.alpha, state.bias, state.z)
            infinite = jnp.full(episodes, jnp.inf, gram.dtype)
            carry = (*here, *here, jnp.zeros_like(state.alpha), infinite, jnp.int32(0))
            carry = lax.while_loop(lambda c: (c[-1] < _STEPS) & ((c[-2] > _STOP) & ~state.done).any(), step, carry)
            return carry[:3], carry[-2], carry[-1]

        def stage(state: _State, first: bool = False) -> _State:
            d = state.curvature
            solve = inverse(penalty * identity + d[:, None] * gram)
            # The intercepts are free and the coefficients sum to zero: one bordered row and column, eliminated. The last row
            # gives the intercepts.
            column = computed_once(lambda solve, d: total(solve * d[None], 1), solve, d)
            row = computed_once(lambda solve: total(solve, 0), solve)
            to_bias = computed_once(lambda row, d: row / total(row * d, 0), row, d)
            solve = jnp.concatenate([solve - column[:, None] * to_bias[None], to_bias[None]])
            (alpha, bias, z), residual, steps = take_steps(state, solve, first)
            if first:
                # If the inverse is inexact, z differs from K alpha, and an episode that seemed to be solved is not.
                z = computed_once(product, gram, alpha) + bias
                afresh = relative_residual(error(z), alpha)
                residual = jnp.where(afresh <= _ROUNDING, residual, afresh)

            value = objective(alpha, bias, z)
            descended = value <= state.objective + 1e-5 * jnp.abs(state.objective) + 1e-6
            accepted = (descended | (residual <= _STOP)) & ~state.done
            stalled = accepted & (residual <= _MAY_STALL) & (residual > 0.9 * state.residual)
            alpha, bias, z, residual, value = (
                jnp.where(accepted, new, old)
                for new, old in (
                    (alpha, state.alpha),
                    (bias, state.bias),
                    (z, state.z),
                    (residual, state.residual),
                    (value, state.objective),
                )
            )
            softer = jnp.maximum(_largest_eigenvalue(softmax(z)), _SHRINK * d)
            curvature = jnp.clip(jnp.where(accepted, softer, _GROW * d), _LEAST_CURVATURE, _LARGEST_CURVATURE)
            done = state.done | stalled | (residual <= _STOP)
            iterations = state.iterations + jnp.where(state.done, 0, steps)
            return _State(alpha, bias, z, residual, value, curvature, done, ~accepted, state.stage + 1, iterations)

        zeros = jnp.zeros((n, way, episodes), gram.dtype)
        start = _State(
            alpha=zeros,
            bias=zeros[0],
            z=zeros,
            residual=jnp.full(episodes, jnp.inf, gram.dtype),
            objective=jnp.full(episodes, n * jnp.log(float(way)), gram.dtype),
            curvature=jnp.full((n, episodes), 1.0 / way, gram.dtype),
            done=jnp.zeros(episodes, bool),
            failed=jnp.zeros(episodes, bool),
            stage=jnp.int32(0),
            iterations=jnp.zeros(episodes, jnp.int32),
        )
        end = lax.while_loop(lambda s: (s.stage < _STAGES) & (~s.done).any(), stage, stage(start, first=True))
        # Computed from the coefficients, and not from the updates.
        residual = relative_residual(error(product(gram, end.alpha) + end.bias), end.alpha)
        return end.alpha, end.bias, residual, end.iterations.astype(gram.dtype)

    def choose(self, support: Support, found: leave_one_out.Spectrum | None = None):
        """Leave-one-out of the ridge regression that a Newton step solves.

        At zero the loss has the curvature 1 / n_way, so the penalty of that regression is n_way / C. At the end of
        training the curvature is smaller; a quarter of it gave the best choices (studies/auto_strength.py). With one
        shot, C is 4 / spread.
        """
        assert self.strength is not None
        penalties = CURVATURE_LOST * support.n_way / np.array(self.strength.grid)
        return leave_one_out.choose(support, penalties, one_shot=float(support.n_way), found=found)

    def score(self, model, support, gram_qs):
        return model.scores(gram_qs)


def _about_the_mean(alpha, bias, mean_row) -> Linear:
    """The model for inner products that are not centred."""
    # The sums are zero except for rounding errors, which queries far from the supports' mean would multiply by
    # thousands.
    alpha = alpha - (total(alpha, 0) / alpha.shape[0])[None]
    return Linear(alpha, bias - total(mean_row[:, None] * alpha, 0))


def _largest_eigenvalue(p: Float[Array, "n_support n_way episodes"]) -> Float[Array, "n_support episodes"]:
    """A bound on the largest eigenvalue of diag(p) - p p^T: the largest p, or (Gershgorin) twice the largest p (1 - p)."""
    return jnp.minimum(largest(p, 1), 2.0 * largest(p * (1.0 - p), 1))


def _prolongation(step, before, gradient, moved) -> Float[Array, "episodes"]:
    """The factor by which to prolong a step: it would have made the last step shortest (Anderson, 1965, with depth one).

    It never turns a step back or uphill."""
    change = step - before
    shortest = -_inner(change, step) / jnp.maximum(_inner(change, change), _TINY)
    return jnp.where(_inner(gradient, moved) > 0, 0.0, jnp.clip(shortest, 0.0, _FURTHEST))


def _inner(a: Float[Array, "n_support n_way episodes"], b: Float[Array, "n_support n_way episodes"]):
    return total(total(a * b, 1), 0)


def _max_abs(x: Float[Array, "n_support n_way episodes"]) -> Float[Array, "episodes"]:
    return largest(largest(jnp.abs(x), 1), 0)
