"""The few-shot paper's SGD on one episode of many supports; all its one-vs-rest problems are trained at once.

The updates are those of sgd.py, which computes one support's score from all coefficients in each update. This file
keeps the scores of all supports instead, f = K beta, and an update adds a multiple of one row of the Gram matrix to
them. This takes as many operations, but on contiguous numbers, of which a processor handles sixteen at a time.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int32

from jfewshot.classifiers.many_supports import times


class Rule(NamedTuple):
    """When the learning rate is lowered and when training ends (SGDClassifier's `learning_rate="adaptive"`).

    Attributes:
      rate: the rate at the beginning.
      least_rate: training ends instead of lowering the rate below this.
      reduction: the divisor that lowers the rate.
      tolerance: an epoch counts as progress if its mean loss falls by at least this.
      patience: epochs without progress after which the rate is lowered.
      epochs: the largest number of epochs.
    """

    rate: float
    least_rate: float
    reduction: float
    tolerance: float
    patience: int
    epochs: int


class _State(NamedTuple):
    order: Int32[Array, "problems n"]  # the support that is used at each turn
    turn: Int32[Array, "problems n"]  # the turn at which each support is used
    beta: Float[Array, "problems n"]
    bias: Float[Array, "problems"]
    rate: Float[Array, "problems"]
    best: Float[Array, "problems"]
    no_change: Int32[Array, "problems"]
    active: Bool[Array, "problems"]
    epochs: Int32[Array, "problems"]


def solve(
    gram: Float[Array, "n n"],
    sign: Float[Array, "problems n"],
    permutation: Int32[Array, "problems n"],
    rule: Rule,
) -> tuple[Float[Array, "problems n"], Float[Array, "problems"], Int32[Array, "problems"]]:
    """Train all problems of an episode.

    Args:
      gram: inner products of the supports.
      sign: 1 where a support is of a problem's class and -1 elsewhere.
      permutation: the position in the current order of the support at each position of the next epoch's order.
      rule: when to stop.

    Returns:
      Coefficients, intercepts and numbers of epochs.
    """
    problems, n = sign.shape
    in_order = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32), permutation.shape)
    start = _State(
        order=in_order,
        turn=in_order,
        beta=jnp.zeros_like(sign),
        bias=jnp.zeros_like(sign[:, 0]),
        rate=jnp.full(problems, rule.rate, sign.dtype),
        best=jnp.full(problems, jnp.inf, sign.dtype),
        no_change=jnp.zeros(problems, jnp.int32),
        active=jnp.ones(problems, bool),
        epochs=jnp.zeros(problems, jnp.int32),
    )
    back = jnp.argsort(permutation, axis=1).astype(jnp.int32)
    end = lax.while_loop(lambda s: s.active.any(), lambda s: _epoch(s, gram, sign, permutation, back, rule), start)
    return end.beta, end.bias, end.epochs


def _epoch(state: _State, gram, sign, permutation, back, rule: Rule) -> _State:
    """One pass over the supports; `back` is the inverse of each permutation."""
    problems, n = sign.shape
    order = jnp.take_along_axis(state.order, permutation, 1, mode="promise_in_bounds")
    turn = jnp.take_along_axis(back, state.turn, 1, mode="promise_in_bounds")
    rate = jnp.where(state.active, state.rate, 0.0)
    turns, signs = order.T, jnp.take_along_axis(sign, order, 1, mode="promise_in_bounds").T
    number = jnp.arange(problems, dtype=jnp.int32)
    # Computed again in each epoch, so that rounding errors do not add up over all updates. The extra row below those of
    # the problems makes each update a write into a part of an array, which XLA does in place on one thread. XLA would
    # distribute a write of a whole array over several threads, and starting them takes longer than the update.
    scores = jnp.pad(times(state.beta, gram), ((0, 1), (0, 0)))

    def update(i, carry):
        scores, bias, loss, changes = carry
        now = lax.dynamic_index_in_dim(turns, i, 0, keepdims=False)
        now_sign = lax.dynamic_index_in_dim(signs, i, 0, keepdims=False)
        margin = now_sign * (scores.at[number, now].get(mode="promise_in_bounds") + bias)
        small = jnp.exp(-jnp.abs(margin))
        change = rate * now_sign * jnp.where(margin > 0, small, 1.0) / (1.0 + small)
        moved = scores[:-1] + change[:, None] * gram.at[now].get(mode="promise_in_bounds")
        scores = lax.dynamic_update_slice(scores, moved, (0, 0))
        loss = loss + jnp.maximum(-margin, 0.0) + jnp.log1p(small)
        return scores, bias + change, loss, lax.dynamic_update_slice(changes, change[None], (i, 0))

    carry = (scores, state.bias, jnp.zeros_like(state.bias), jnp.zeros((n, problems), sign.dtype))
    _, bias, loss, changes = lax.fori_loop(0, n, update, carry)
    beta = state.beta + jnp.take_along_axis(changes.T, turn, 1, mode="promise_in_bounds")

    stuck = loss > state.best - rule.tolerance * n
    no_change = jnp.where(stuck, state.no_change + 1, 0)
    patience_over = no_change >= rule.patience
    may_slow_down = state.rate > rule.least_rate
    epochs = state.epochs + state.active.astype(jnp.int32)
    return _State(
        order=order,
        turn=turn,
        beta=beta,
        bias=bias,
        rate=jnp.where(patience_over & may_slow_down, state.rate / rule.reduction, state.rate),
        best=jnp.minimum(state.best, loss),
        no_change=jnp.where(patience_over, 0, no_change),
        active=state.active & ~(patience_over & ~may_slow_down) & (epochs < rule.epochs),
        epochs=epochs,
    )
