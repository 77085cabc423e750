"""Choose a strength in each episode by leave-one-out, in closed form for all strengths, from one decomposition.

With the supports' mean subtracted, K = V diag(w) V^T, and ridge regression on the labels Y at penalty a has the
coefficients c = V diag(1 / (w + a)) V^T Y. The model that is trained without support i, including the intercept, misses
the label of i by

    y_i - f_i = c_i / sum_k V_ik^2 / (w_k + a),

where the sum is over all eigenvectors except the constant one (the formula of Golub, Heath and Wahba, 1979, rewritten
without differences of nearly equal numbers). On CPUs, c and the sums of up to 100 supports come from a tridiagonal form
of K instead (tridiagonal.py).

`logistic` and `svm` choose by the same losses: one Newton step from zero is a ridge regression, whose penalty
follows from C.

A few supports determine the penalty poorly, so the losses are combined with a rule that uses the scale of the
embeddings. Embeddings that are multiplied by t have the same solution at t^2 times the penalty. So a rule that uses
only the scale must give a multiple of a squared length. We use the spread of the supports, which is their mean squared
distance from their mean. The criterion is

    n / 2 log(mean squared miss) + 1 / 2 (log10(a / a_0))^2,

which is minus the logarithm of a Gaussian likelihood of the misses times a prior with a standard deviation of one
decade, centred at a_0, the penalty of the rule. With one shot no support can be left out, and the prior alone decides.
studies/auto_strength.py measured the constants.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jfewshot.classifiers.base import Support, centred
from jfewshot.classifiers.linalg import computed_once, product, total, trace
from jfewshot.classifiers.many_supports import MANY
from jfewshot.classifiers.tridiagonal import (
    factors,
    inverse_diagonal,
    rotated,
    rotated_back,
    solve,
    tridiagonal,
)

_TINY = 1e-30
# The rule's penalty, as a multiple of the spread, for two shots and more.
OF_SPREAD = 0.2


class Spectrum(NamedTuple):
    """Eigenvectors of the supports' centred Gram matrices, without the constant one.

    Attributes:
      values: eigenvalues, none negative.
      vectors: one eigenvector per column.
    """

    values: Float[Array, "n_support-1 episodes"]
    vectors: Float[Array, "n_support n_support-1 episodes"]


def choose(
    support: Support, penalties: Float[np.ndarray, "strengths"], one_shot: float, found: Spectrum | None = None
) -> Int[Array, "episodes"]:
    """Choose one of several penalties for each episode, from its supports.

    Args:
      support: the support sets of many episodes.
      penalties: the candidates: the penalty of ridge regression for each strength.
      one_shot: the rule's penalty for one shot, as a multiple of the spread.
      found: the supports' decomposition if it is known; None to compute it.

    Returns:
      for each episode, an index into `penalties`.
    """
    gram, _ = centred(support.gram)
    n = support.n_support
    spread = trace(gram) / n
    rule = jnp.maximum(spread * (one_shot if support.k_shot == 1 else OF_SPREAD), _TINY)
    doubt = 0.5 * (jnp.log10(jnp.asarray(penalties, gram.dtype))[:, None] - jnp.log10(rule)) ** 2
    if support.k_shot == 1:
        return doubt.argmin(0)
    labels = support.one_hot - support.class_share

    def mean_square(miss):
        return total(total(miss * miss, 1), 0) / miss.size * miss.shape[-1]

    def by_spectrum(gram):
        return losses(spectrum(gram), labels, jnp.asarray(penalties, gram.dtype), mean_square)

    def by_tridiagonal(gram):
        return tridiagonal_losses(gram, labels, jnp.asarray(penalties, gram.dtype), mean_square)

    if found is not None:
        missed = losses(found, labels, jnp.asarray(penalties, gram.dtype), mean_square)
    elif n <= MANY:
        missed = lax.platform_dependent(gram, cpu=by_tridiagonal, default=by_spectrum)
    else:
        # With one episode at a time, the recursions along the tridiagonal form would leave most of a vector register
        # empty.
        missed = by_spectrum(gram)
    return (0.5 * n * jnp.log(jnp.maximum(missed, _TINY)) + doubt).argmin(0)


def spectrum(gram: Float[Array, "n_support n_support episodes"]) -> Spectrum:
    """Decompose centred Gram matrices.

    Args:
      gram: inner products of the supports about their mean.

    Returns:
      eigenvalues and eigenvectors of each episode.
    """
    n = gram.shape[0]
    # The constant vector gets the largest eigenvalue, so that it comes last, and is not mixed with other vectors of the
    # null space.
    matrices = jnp.moveaxis(gram + 2.0 * trace(gram) / n, -1, 0)
    values, vectors = lax.platform_dependent(matrices, cpu=_one_by_one, default=_together)
    values, vectors = jnp.moveaxis(values, 0, -1), jnp.moveaxis(vectors, 0, -1)
    return Spectrum(jnp.maximum(values[:-1], 0.0), vectors[:, :-1])


def _together(matrices):
    return tuple(jnp.linalg.eigh(matrices, symmetrize_input=False))


def _one_by_one(matrices):
    """One LAPACK call for each matrix, since a call on a batch can hang forever on a CPU (see `linalg._inverse_one_by_one`)."""
    return lax.map(_together, matrices)


def losses(
    found: Spectrum,
    labels: Float[Array, "n_support columns 1"],
    strengths: Float[Array, "strengths"],
    loss: Callable[[jax.Array], jax.Array],
) -> Float[Array, "strengths episodes"]:
    """A loss of the leave-one-out residuals at each strength.

    Args:
      found: of `spectrum`.
      labels: whose sum over the supports is zero in each column, the same in all episodes.
      strengths: penalties, positive.
      loss: from residuals, n_support x columns x episodes, to one value per episode.

    Returns:
      the loss of each strength in each episode.
    """
    right = jnp.broadcast_to(labels, (*labels.shape[:2], found.values.shape[-1]))
    on_vectors = computed_once(product, jnp.swapaxes(found.vectors, 0, 1), right)

    def at(strength):
        return loss(computed_once(residuals, *found, on_vectors, strength))

    return lax.map(at, strengths)


def tridiagonal_losses(
    gram: Float[Array, "n_support n_support episodes"],
    labels: Float[Array, "n_support columns 1"],
    strengths: Float[Array, "strengths"],
    loss: Callable[[jax.Array], jax.Array],
) -> Float[Array, "strengths ..."]:
    """`losses` by a tridiagonal form of the Gram matrices.

    Args:
      gram: inner products of the supports about their mean.
      labels: whose sum over the supports is zero in each column, the same in all episodes.
      strengths: penalties, positive.
      loss: from residuals, n_support x columns x episodes, to one value per episode.

    Returns:
      the result of `loss` at each strength.
    """
    n, _, episodes = gram.shape
    # The constant vector gets the mean eigenvalue instead of zero. The labels have no component in that direction.
    # Small penalties would otherwise make its contribution to the inverse's diagonal large; now the contribution is
    # small, and it is subtracted below.
    shift = trace(gram) / n
    found = tridiagonal(gram + shift / n)
    by = factors(found, jnp.broadcast_to(strengths[:, None], (len(strengths), episodes)))
    solved = solve(by, rotated(found, jnp.broadcast_to(labels, (*labels.shape[:2], episodes))))
    own = inverse_diagonal(found, by) - 1.0 / n / (shift + strengths[:, None])[:, None]

    def at(here):
        solved, own = here
        return loss(rotated_back(found, solved) / jnp.maximum(own, _TINY)[:, None])

    return lax.map(at, (jnp.swapaxes(solved, 0, 1), own))


def residuals(
    values: Float[Array, "k episodes"],
    vectors: Float[Array, "n_support k episodes"],
    on_vectors: Float[Array, "k columns episodes"],
    strength: Float[Array, ""],
) -> Float[Array, "n_support columns episodes"]:
    """The difference between a support's label and the prediction of the model that was trained without this support.

    Args:
      values: eigenvalues.
      vectors: eigenvectors.
      on_vectors: the labels' coefficients on the eigenvectors.
      strength: the penalty.

    Returns:
      label minus prediction.
    """
    shrunk = 1.0 / (values + strength)
    coefficients = product(vectors, shrunk[:, None] * on_vectors)
    own = total(jnp.swapaxes(vectors * vectors, 0, 1) * shrunk[:, None], 0)
    return coefficients / jnp.maximum(own, _TINY)[:, None]
