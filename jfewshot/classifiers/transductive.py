"""The interface of transductive classifiers, which use all queries of an episode together.

An inductive classifier decides each query alone. A transductive classifier also uses the distances between the queries,
which needs inner products among the queries. Its accuracy depends on the number of queries and on how they are divided
among the classes. So it must not be compared with the accuracy of an inductive classifier, and every record, table and
page marks it.

A transductive classifier is a frozen dataclass with `transductive = True`, `strength`, `tolerance` and `translation_invariant` as
in base.py, and `solve` in place of `fit` and `score`.
"""

import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Diagnostics, Strength, Support
from jfewshot.classifiers.linalg import computed_once, largest

_TINY = 1e-30
# A solver stops when no probability changes by more than this in a round.
_STILL = 1e-4


@functools.partial(jax.tree_util.register_dataclass, data_fields=["gram_qs", "gram_qq", "counts"], meta_fields=[])
@dataclasses.dataclass(frozen=True)
class Queries:
    """The queries of many episodes.

    Attributes:
      gram_qs: inner products of queries and supports.
      gram_qq: inner products among the queries.
      counts: 1 for places with a query, 0 for padding, which exists if classes have different numbers of queries.
    """

    gram_qs: Float[Array, "n_query n_support episodes"]
    gram_qq: Float[Array, "n_query n_query episodes"]
    counts: Float[Array, "n_query episodes"]


@typing.runtime_checkable
class Transductive(typing.Protocol):
    """The interface of a transductive classifier for the evaluator."""

    strength: ClassVar[Strength | None]
    tolerance: ClassVar[float | None]
    transductive: ClassVar[bool]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def translation_invariant(self) -> bool: ...

    def __hash__(self) -> int: ...

    def solve(
        self, support: Support, queries: Queries, strength: Float[Array, ""]
    ) -> tuple[Float[Array, "n_query n_way episodes"], Diagnostics]:
        """Score the queries of many episodes; the class with the highest score wins.

        Args:
          support: the support sets.
          queries: the queries of the same episodes.
          strength: a positive scalar; ignored without a `Strength`.

        Returns:
          one score for each query and class, and diagnostics of the solver.
        """
        ...


def is_transductive(classifier: Any) -> bool:
    """Whether a classifier, or a class of classifiers, uses all queries together."""
    return bool(getattr(classifier, "transductive", False))


class Points(typing.NamedTuple):
    """Supports and queries of many episodes as one set, supports first.

    Here and in the transductive classifiers, the episodes are first and the points last: an episode's 80 points fill vector
    registers, and a product with the points' inner products is a matrix product of its own. With the episodes last (linalg.py),
    a product of 80 x 80 with 80 x 5 numbers took four times as long.

    Attributes:
      gram: inner products.
      counts: 1 for supports and queries, 0 for padding.
      spread: mean squared distance of the points from their mean; never 0.
    """

    gram: Float[Array, "episodes n n"]
    counts: Float[Array, "episodes n"]
    spread: Float[Array, "episodes"]

    def squared_distances(self) -> Float[Array, "episodes n n"]:
        """Squared distances between all pairs of points; none is negative."""
        return squared_distances(self.gram)

    def nearness(self, centroids: Float[Array, "episodes n_way n"]) -> Float[Array, "episodes n_way n"]:
        """2 x.c - |c|^2 for each point x and centroid c: minus the squared distance, without |x|^2 (equal for all classes).

        Args:
          centroids: their coefficients on the points.
        """
        products = times(centroids, self.gram)
        return 2.0 * products - over_points(centroids * products)[:, :, None]


def squared_distances(gram: Float[Array, "episodes n n"]) -> Float[Array, "episodes n n"]:
    """Squared distances between all pairs of points; none is negative.

    Args:
      gram: inner products of the points.
    """
    squares = jnp.diagonal(gram, axis1=1, axis2=2)
    return jnp.maximum(squares[:, :, None] + squares[:, None] - 2.0 * gram, 0.0)


def times(
    x: Float[Array, "episodes n_way n"], matrix: Float[Array, "episodes n m"]
) -> Float[Array, "episodes n_way m"]:
    """Matrix product of each episode: sum over the points j of x[:, j] matrix[j].

    Args:
      x: one number for each class and point.
      matrix: one row for each point.
    """
    return jnp.matmul(x, matrix, precision=lax.Precision.HIGHEST)


def over_points(x: Float[Array, "episodes n_way n"]) -> Float[Array, "episodes n_way"]:
    """Sum over the points, as a product with ones: on CPUs, XLA adds along the last axis one number after the other.

    Args:
      x: one number for each class and point.
    """
    return jnp.matmul(x, jnp.ones(x.shape[-1], x.dtype), precision=lax.Precision.HIGHEST)


def together(support: Support, queries: Queries) -> Points:
    """Supports and queries as one set of points.

    Args:
      support: the support sets.
      queries: the queries of the same episodes.
    """

    def whole(ss, qs, qq):
        joined = jnp.concatenate([jnp.concatenate([ss, jnp.swapaxes(qs, 0, 1)], 1), jnp.concatenate([qs, qq], 1)])
        return jnp.moveaxis(joined, -1, 0)

    gram = computed_once(whole, support.gram, queries.gram_qs, queries.gram_qq)
    counts = jnp.concatenate([jnp.ones(support.gram.shape[1:], queries.counts.dtype), queries.counts]).T
    n = counts.sum(1)
    squares = (counts * jnp.diagonal(gram, axis1=1, axis2=2)).sum(1) / n
    of_mean = (counts * times(counts[:, None], gram)[:, 0]).sum(1) / n**2
    return Points(gram, counts, jnp.maximum(squares - of_mean, _TINY))


def labels_of(support: Support, points: Points) -> Float[Array, "episodes n_way n"]:
    """The supports' labels, and 0 for queries.

    Args:
      support: the support sets.
      points: supports and queries.
    """
    episodes, n = points.counts.shape
    labels = jnp.swapaxes(support.one_hot[:, :, 0], 0, 1)
    labels = jnp.concatenate([labels, jnp.zeros((support.n_way, n - support.n_support), points.gram.dtype)], 1)
    return jnp.broadcast_to(labels, (episodes, support.n_way, n))


def settled(
    step: Callable[[Any], tuple[Any, Float[Array, "episodes n_way n_query"]]],
    state: Any,
    probabilities: Float[Array, "episodes n_way n_query"],
    most: int,
) -> tuple[Float[Array, "n_query n_way episodes"], Diagnostics]:
    """Repeat a step until the queries' probabilities no longer change in any episode.

    Args:
      step: from a state to the next one, and the queries' probabilities in the given state.
      state: the first state.
      probabilities: the first probabilities.
      most: largest number of rounds.

    Returns:
      the last probabilities, and as residual the largest change of one of them in the last round.
    """

    def go_on(carry):
        return (carry[-1] < most) & (carry[2] > _STILL).any()

    def move(carry):
        state, before, _, count = carry
        state, now = step(state)
        return state, now, largest(jnp.abs(now - before), 1).max(1), count + 1

    moving = jnp.full(len(probabilities), jnp.inf, probabilities.dtype)
    _, found, moved, count = lax.while_loop(go_on, move, (state, probabilities, moving, jnp.int32(0)))
    return episodes_last(found), Diagnostics(moved, jnp.full(moved.shape, count, moved.dtype))


def episodes_last(scores: Float[Array, "episodes n_way n_query"]) -> Float[Array, "n_query n_way episodes"]:
    """Scores as the evaluator takes them.

    Args:
      scores: of each class and query.
    """
    return jnp.transpose(scores, (2, 1, 0))
