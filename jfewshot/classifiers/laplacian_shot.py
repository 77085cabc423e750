"""Nearest class means, smoothed over a graph of the queries: LaplacianShot of Ziko et al. (ICML 2020). Transductive."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Strength, Support
from jfewshot.classifiers.linalg import computed_once, largest, softmax
from jfewshot.classifiers.transductive import (
    Queries,
    labels_of,
    over_points,
    settled,
    squared_distances,
    times,
    together,
)

_ROUNDS = 100


@dataclasses.dataclass(frozen=True)
class LaplacianShot:
    """Assigns each query to the nearest class mean, and neighbouring queries to the same class.

    With a_qk the squared distance of query q from the mean of class k, times sharpness / spread, and N(q) the nearest other
    queries of q, the bound optimiser of the paper (equation 12) repeats

        y_q = softmax over k of (-a_qk + smoothness times the sum over N(q) of y_pk),

    starting from smoothness 0. It assumes nothing about how many queries a class has. The paper's correction of the
    class means from the queries (its equation 13) is left out. The solver stops when no probability changes any more,
    or after 100 rounds.

    Attributes:
      sharpness: how fast probabilities fall with the squared distance, as a multiple of 1 / spread.
      smoothness: weight of each neighbour; lambda of the paper.
      neighbours: how many nearest queries count for each query; queries at the same distance count as one.
    """

    sharpness: float = 6.0
    smoothness: float = 0.5
    neighbours: int = 3

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = 1e-2
    translation_invariant: ClassVar[bool] = True
    transductive: ClassVar[bool] = True

    def solve(self, support: Support, queries: Queries, strength=None):
        """Score the queries of many episodes; see `Transductive.solve`.

        Args:
          support: the support sets.
          queries: the queries of the same episodes.
          strength: ignored.

        Returns:
          the probabilities y, and the largest change of one of them in the last round.
        """
        points, n_support = together(support, queries), support.n_support
        labels = labels_of(support, points)
        scale = (self.sharpness / points.spread)[:, None, None]
        logits = scale * points.nearness(labels / over_points(labels)[:, :, None])[:, :, n_support:]
        graph = _nearest(squared_distances(points.gram[:, n_support:, n_support:]), queries.counts.T, self.neighbours)

        def step(y):
            now = softmax(logits + self.smoothness * times(y, graph))
            return now, now

        start = softmax(logits)
        return settled(step, start, start, _ROUNDS)


def _nearest(
    distances: Float[Array, "episodes n n"], counts: Float[Array, "episodes n"], neighbours: int
) -> Float[Array, "episodes n n"]:
    """1 where a row's point is among the nearest of a column's, 0 elsewhere and for places that hold no query."""
    n = distances.shape[1]
    left = jnp.where(jnp.eye(n, dtype=bool) | (counts == 0)[:, :, None], jnp.inf, distances)
    found = jnp.zeros_like(left)
    for _ in range(min(neighbours, n - 1)):
        nearest = left == computed_once(lambda x: -largest(-x, 1), left)[:, None]
        found = jnp.where(nearest & jnp.isfinite(left), 1.0, found)
        left = computed_once(lambda left, nearest: jnp.where(nearest, jnp.inf, left), left, nearest)
    return found
