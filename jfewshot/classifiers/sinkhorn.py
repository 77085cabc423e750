"""Alternate between balanced assignments and centroids: the MAP of Hu, Gripon and Pateux (PT-MAP, ICANN 2021). Transductive.

Their power transform of the features is left out, since it cannot be computed from inner products."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Diagnostics, Strength, Support
from jfewshot.classifiers.linalg import largest, total
from jfewshot.classifiers.transductive import Queries, episodes_last, labels_of, over_points, together
from jfewshot.errors import UserError

_ROUNDS = 20  # of centroids, as in the paper's code
_BALANCINGS = 30  # of rows and columns, in each round
_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class Sinkhorn:
    """Assigns equally many queries to each class, and moves the centroids to the assigned queries, in turns.

    With d_qc the squared distance of query q from centroid c, the assignment P maximises its entropy minus sharpness /
    spread times sum P_qc d_qc. Its rows sum to 1, and its columns to the number of queries over the number of classes,
    which is computed by Sinkhorn's iteration (Cuturi, 2013). Each centroid then moves a share `rate` of the way to the
    mean of its supports and its queries, weighted by P. A centroid starts at the mean of its supports. It is a linear
    combination of points, so inner products suffice.

    **It assumes that the classes are balanced among the queries.** Where they are not, it can be far worse than the nearest mean.

    The residual is the largest relative difference of a column's sum from its target.

    Attributes:
      sharpness: how sharp assignments are, as a multiple of 1 / spread.
      rate: how far a centroid moves in each round.
    """

    sharpness: float = 6.0
    rate: float = 0.2

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = 1e-2
    translation_invariant: ClassVar[bool] = True
    transductive: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 < self.rate <= 1:
            raise UserError(f"sinkhorn: rate is {self.rate:g}; it must be at most 1")

    def solve(self, support: Support, queries: Queries, strength=None):
        """Score the queries of many episodes; see `Transductive.solve`.

        Args:
          support: the support sets.
          queries: the queries of the same episodes.
          strength: ignored.

        Returns:
          the assignment of the queries to the classes, and its deviation from balanced classes.
        """
        points = together(support, queries)
        n_support, counts = support.n_support, queries.counts.T
        labels = labels_of(support, points)
        scale = (self.sharpness / points.spread)[:, None, None]

        def assign(centroids):
            """Assignments of the queries, and the deviation of a class's sum, from the centroids' coefficients."""
            return _balanced(scale * points.nearness(centroids)[:, :, n_support:], counts)

        def move(_, centroids):
            members = jnp.concatenate([labels[:, :, :n_support], assign(centroids)[0]], 2)
            means = members / over_points(members)[:, :, None]
            return centroids + self.rate * (means - centroids)

        found, off = assign(lax.fori_loop(0, _ROUNDS, move, labels / over_points(labels)[:, :, None]))
        return episodes_last(found), Diagnostics(off, jnp.full(off.shape, _ROUNDS, off.dtype))


def _balanced(
    logits: Float[Array, "episodes n_way n_query"], counts: Float[Array, "episodes n_query"]
) -> tuple[Float[Array, "episodes n_way n_query"], Float[Array, "episodes"]]:
    """Scale the classes and the queries of exp(logits) in turns until each has its sum; and the classes' deviation.

    The sum of a query is 1, and all classes have equal sums.
    """
    each = counts.sum(1)[:, None] / logits.shape[1]
    mass = jnp.exp(logits - largest(logits, 1)[:, None]) * counts[:, None]

    def of_queries(mass):
        return mass / jnp.maximum(total(mass, 1), _TINY)[:, None]

    def balance(_, mass):
        return of_queries(mass * (each / jnp.maximum(over_points(mass), _TINY))[:, :, None])

    mass = lax.fori_loop(0, _BALANCINGS, balance, of_queries(mass))
    return mass, jnp.abs(over_points(mass) / each - 1.0).max(1)
