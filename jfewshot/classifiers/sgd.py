"""The few-shot paper's classifier: scikit-learn's SGDClassifier, with the same steps."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int32

from jfewshot.classifiers import sgd_many
from jfewshot.classifiers.base import Diagnostics, Linear, Strength, Support
from jfewshot.classifiers.linalg import total
from jfewshot.classifiers.many_supports import MANY, one_at_a_time
from jfewshot.randomness import below, random_pairs

_RATE = 0.1  # eta0
_TOLERANCE = 1e-4  # tol
_PATIENCE = 2  # n_iter_no_change
_LEAST_RATE = 1e-6
_REDUCTION = 5.0
# How many factors of at most 2 are multiplied before a logarithm is taken; 2^64 is far below float32's largest number.
_FACTORS = 64
# With at most so many supports, one of them is read by selections, not by a gather.
_SELECTIONS = 40


class _State(NamedTuple):
    order: Int32[Array, "n_support problems episodes"]  # the order of the supports in this epoch
    beta: Float[Array, "n_support problems episodes"]  # the supports' coefficients
    bias: Float[Array, "problems episodes"]
    rate: Float[Array, "problems episodes"]
    best: Float[Array, "problems episodes"]
    no_change: Int32[Array, "problems episodes"]
    active: Bool[Array, "problems episodes"]
    epochs: Int32[Array, "problems episodes"]


@dataclasses.dataclass(frozen=True)
class SGD:
    """SGDClassifier(loss="log_loss", alpha=0, learning_rate="adaptive", eta0=0.1, tol=1e-4, n_iter_no_change=2, max_iter=epochs):
    Heggan et al. (arXiv 2402.01274) evaluate encoders with it.

    This is not converged logistic regression: if embeddings share a large mean, it stops far from the optimum
    (docs/classifiers.md). One problem per class (one in all for 2 ways), each with a permutation of the supports drawn
    once; every epoch applies it again to the current order, because scikit-learn seeds its shuffle again in each epoch.
    Without a penalty each update adds a multiple of a support to the weights, so all of training is computed on
    coefficients.

    Attributes:
      epochs: the largest number of epochs (max_iter).
      shuffle: False keeps the supports in their order.
    """

    epochs: int = 100
    shuffle: bool = True

    strength: ClassVar[Strength | None] = None
    translation_invariant: ClassVar[bool] = False
    tolerance: ClassVar[float | None] = None

    def fit(self, support: Support, strength=None):
        problems = 1 if support.n_way == 2 else support.n_way
        if self.shuffle:
            permutation = _permutations(support, problems)
        else:
            shape = (support.n_support, problems, support.gram.shape[-1])
            permutation = jnp.broadcast_to(jnp.arange(shape[0], dtype=jnp.int32)[:, None, None], shape)
        return self.fit_in_order(support, permutation)

    def fit_in_order(self, support: Support, permutation: Int32[Array, "n_support problems episodes"]):
        """Train with given permutations.

        Args:
          support: of many episodes.
          permutation: for each problem and episode, the position in the current order of the support at each position
              of the next order.

        Returns:
          A `Linear` model, and diagnostics with the mean number of epochs of an episode's problems as iterations.
        """
        dtype = support.gram.dtype
        if support.n_support <= MANY:
            beta, bias, epochs = self._side_by_side(support, permutation)
        else:
            beta, bias, epochs = self._one_at_a_time(support, permutation)
        if permutation.shape[1] == 1:
            beta, bias = jnp.concatenate([-beta, beta], 1), jnp.concatenate([-bias, bias], 0)
        nothing = jnp.full(support.gram.shape[-1], jnp.nan, dtype)
        return Linear(beta, bias), Diagnostics(nothing, epochs.astype(dtype).mean(0))

    def _one_at_a_time(self, support: Support, permutation):
        classes = np.arange(1, 2) if support.n_way == 2 else np.arange(support.n_way)
        sign = jnp.asarray(np.where(support.labels == classes[:, None], 1.0, -1.0), support.gram.dtype)
        rule = sgd_many.Rule(_RATE, _LEAST_RATE, _REDUCTION, _TOLERANCE, _PATIENCE, self.epochs)
        beta, bias, epochs = one_at_a_time(
            lambda gram, permutation: sgd_many.solve(gram, sign, permutation, rule),
            support.gram,
            jnp.swapaxes(permutation, 0, 1),
        )
        return jnp.swapaxes(beta, 0, 1), bias, epochs

    def _side_by_side(self, support: Support, permutation):
        n, problems, episodes = permutation.shape
        dtype = support.gram.dtype
        shape = (problems, episodes)
        start = _State(
            order=jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32)[:, None, None], permutation.shape),
            beta=jnp.zeros(permutation.shape, dtype),
            bias=jnp.zeros(shape, dtype),
            rate=jnp.full(shape, _RATE, dtype),
            best=jnp.full(shape, jnp.inf, dtype),
            no_change=jnp.zeros(shape, jnp.int32),
            active=jnp.ones(shape, bool),
            epochs=jnp.zeros(shape, jnp.int32),
        )
        end = lax.while_loop(
            lambda state: state.active.any(), lambda state: self._epoch(state, support, permutation), start
        )
        return end.beta, end.bias, end.epochs

    def _epoch(self, state: _State, support: Support, permutation) -> _State:
        n, problems, episodes = permutation.shape
        order = _take(state.order, permutation)
        positive = 1 if problems == 1 else jnp.arange(problems, dtype=jnp.int32)[:, None]
        place = jnp.arange(n, dtype=jnp.int32)[:, None, None]
        rate = jnp.where(state.active, state.rate, 0.0)

        def update(i, carry):
            beta, bias, loss, odds = carry
            now = order[i]
            sign = jnp.where(now // support.k_shot == positive, 1.0, -1.0).astype(beta.dtype)
            margin = sign * (total(_row(support.gram, now) * beta, 0) + bias)
            # log(1 + exp(-margin)) and its derivative, from one exponential that cannot overflow. The arguments of
            # several logarithms are multiplied, so that fewer logarithms are computed.
            small = jnp.exp(-jnp.abs(margin))
            loss = loss + jnp.maximum(-margin, 0.0)
            odds = odds * (1.0 + small)
            change = rate * sign * jnp.where(margin > 0, small, 1.0) / (1.0 + small)
            beta = beta + jnp.where(place == now, change, 0.0)
            return beta, bias + change, loss, odds

        beta, bias = state.beta, state.bias
        loss = jnp.zeros((problems, episodes), beta.dtype)
        for first in range(0, n, _FACTORS):
            last = min(first + _FACTORS, n)
            carry = (beta, bias, loss, jnp.ones_like(loss))
            if n <= 10:
                for i in range(first, last):
                    carry = update(i, carry)
            else:
                carry = lax.fori_loop(first, last, update, carry)
            beta, bias, loss, odds = carry
            loss = loss + jnp.log(odds)

        stuck = loss > state.best - _TOLERANCE * n
        no_change = jnp.where(stuck, state.no_change + 1, 0)
        best = jnp.minimum(state.best, loss)
        patience_over = no_change >= _PATIENCE
        may_slow_down = state.rate > _LEAST_RATE
        epochs = state.epochs + state.active.astype(jnp.int32)
        return _State(
            order=order,
            beta=beta,
            bias=bias,
            rate=jnp.where(patience_over & may_slow_down, state.rate / _REDUCTION, state.rate),
            best=best,
            no_change=jnp.where(patience_over, 0, no_change),
            active=state.active & ~(patience_over & ~may_slow_down) & (epochs < self.epochs),
            epochs=epochs,
        )

    def score(self, model, support, gram_qs):
        return model.scores(gram_qs)


def _permutations(support: Support, problems: int) -> Int32[Array, "n_support problems episodes"]:
    """A uniformly random permutation of the supports for each problem and episode (Fisher and Yates)."""
    n, episodes = support.n_support, support.gram.shape[-1]
    shape = (n, problems, episodes)
    number = (
        jnp.arange(n, dtype=jnp.uint32)[:, None, None] + (jnp.arange(problems, dtype=jnp.uint32) << 16)[None, :, None]
    )
    word, _ = random_pairs(support.key, jnp.broadcast_to(support.episode, shape), jnp.broadcast_to(number, shape))
    place = jnp.arange(n, dtype=jnp.int32)[:, None, None]

    def exchange(i, permutation):
        other = i + below(word[i], jnp.uint32(n) - jnp.uint32(i)).astype(jnp.int32)
        mine, theirs = permutation[i], jnp.where(place == other, permutation, 0).sum(0)
        return jnp.where(place == other, mine, permutation).at[i].set(theirs)

    return lax.fori_loop(0, n, exchange, jnp.broadcast_to(place, shape))


def _take(values, index):
    """values[index] along the first axis, for each problem and episode: by selections if there are few, else by a gather."""
    if values.shape[0] > _SELECTIONS:
        return jnp.take_along_axis(values, index, axis=0, mode="promise_in_bounds")
    taken = jnp.broadcast_to(values[0], index.shape)
    for j in range(1, values.shape[0]):
        taken = jnp.where(index == j, values[j], taken)
    return taken


def _row(gram, index) -> Float[Array, "n_support problems episodes"]:
    """gram[:, index], for each problem and episode: by selections if there are few, else by a gather.

    A selection is a vector operation over many episodes, and a gather is not."""
    n, episodes = gram.shape[0], gram.shape[-1]
    if n > _SELECTIONS:
        place = jnp.arange(n, dtype=jnp.int32)[:, None, None]
        position = (place * n + index) * episodes + jnp.arange(episodes, dtype=jnp.int32)
        return gram.reshape(-1).at[position].get(mode="promise_in_bounds")
    row = gram[:, 0, None]
    for j in range(1, n):
        row = jnp.where(index == j, gram[:, j, None], row)
    return row
