"""Label spreading over supports and queries (Zhou et al., NeurIPS 2003). Transductive."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Diagnostics, Strength, Support
from jfewshot.classifiers.linalg import largest
from jfewshot.classifiers.transductive import Queries, episodes_last, labels_of, over_points, times, together
from jfewshot.errors import UserError

# Largest residual at which the system counts as solved; the labels are of order one.
_STOP = 1e-6
_MOST_PRODUCTS = 200
_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class Propagation:
    """Labels spread from the supports over a graph of all points of an episode: scikit-learn's LabelSpreading.

    Two points are joined with the weight W_ij = exp(-gamma |x_i - x_j|^2 / spread), and no point with itself. The spread is the
    mean squared distance of the episode's points from their mean. With S = D^(-1/2) W D^(-1/2) and D the row sums of W, the
    scores are F = (I - alpha S)^(-1) Y, where Y holds the supports' labels and 0 for queries. Conjugate gradients solve this
    system.

    The residual is max |Y - (I - alpha S) F|.

    Attributes:
      alpha: how far labels spread, between 0 and 1.
      gamma: how fast weights fall with the distance, as a multiple of 1 / spread.
    """

    alpha: float = 0.5
    gamma: float = 4.0

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = 1e-4
    translation_invariant: ClassVar[bool] = True
    transductive: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 < self.alpha < 1:
            raise UserError(f"propagation: alpha is {self.alpha:g}; it must be between 0 and 1")

    def solve(self, support: Support, queries: Queries, strength=None):
        """Score the queries of many episodes; see `Transductive.solve`.

        Args:
          support: the support sets.
          queries: the queries of the same episodes.
          strength: ignored.

        Returns:
          the amount of each class's label that reaches each query, and how accurately the system was solved.
        """
        points = together(support, queries)
        n, counts = points.gram.shape[1], points.counts
        others = (1.0 - jnp.eye(n, dtype=points.gram.dtype)) * counts[:, :, None] * counts[:, None]
        weights = jnp.exp((-self.gamma / points.spread)[:, None, None] * points.squared_distances()) * others
        degree = times(jnp.ones_like(counts)[:, None], weights)
        scale = jnp.where(degree > 0, 1.0 / jnp.sqrt(jnp.maximum(degree, _TINY)), 0.0)

        def system(f):
            return f - self.alpha * scale * times(scale * f, weights)

        labels = labels_of(support, points)
        # S has the eigenvector sqrt(D), of eigenvalue 1, the largest. The solution's part along it is known, and conjugate
        # gradients need fewer steps for the rest.
        top = jnp.sqrt(degree)
        along = over_points(labels * top)[:, :, None] / jnp.maximum(over_points(degree), _TINY)[:, :, None] * top
        found, steps = _conjugate_gradients(system, along / (1.0 - self.alpha), labels - along)
        residual = largest(jnp.abs(labels - system(found)), 1).max(1)
        diagnostics = Diagnostics(residual, jnp.full(residual.shape, steps, residual.dtype))
        return episodes_last(found[:, :, support.n_support :]), diagnostics


def _conjugate_gradients(
    system, start: Float[Array, "episodes n_way n"], right: Float[Array, "episodes n_way n"]
) -> tuple[Float[Array, "episodes n_way n"], Array]:
    """Solve a symmetric, positive definite system for each class of each episode, and the number of steps.

    `right` is what the start leaves of the right-hand side.
    """

    def inner(a, b):
        return over_points(a * b)[:, :, None]

    def step(carry):
        x, r, p, squares, count = carry
        q = system(p)
        length = squares / jnp.maximum(inner(p, q), _TINY)
        x, r = x + length * p, r - length * q
        new = inner(r, r)
        return x, r, r + new / jnp.maximum(squares, _TINY) * p, new, count + 1

    def go_on(carry):
        return (carry[-1] < _MOST_PRODUCTS) & (carry[3] > _STOP**2).any()

    end = lax.while_loop(go_on, step, (start, right, right, inner(right, right), jnp.int32(0)))
    return end[0], end[-1]
