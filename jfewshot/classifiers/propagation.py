"""Label spreading over supports and queries (Zhou et al., NeurIPS 2003). Transductive."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Diagnostics, Strength, Support
from jfewshot.classifiers.linalg import computed_once, largest, product, total
from jfewshot.classifiers.transductive import Queries, labels_of, together
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

        def joined(gram, counts, spread):
            squared = points._replace(gram=gram).squared_distances()
            n = gram.shape[0]
            others = (1.0 - jnp.eye(n, dtype=gram.dtype))[:, :, None] * counts[:, None] * counts[None]
            return jnp.exp(-self.gamma / spread * squared) * others

        weights = computed_once(joined, points.gram, points.counts, points.spread)
        degree = total(weights, 0)
        scale = jnp.where(degree > 0, 1.0 / jnp.sqrt(jnp.maximum(degree, _TINY)), 0.0)

        def system(f):
            return f - self.alpha * scale[:, None] * product(weights, scale[:, None] * f)

        labels = labels_of(support, points)
        found, steps = _conjugate_gradients(system, labels)
        residual = largest(largest(jnp.abs(labels - system(found)), 1), 0)
        diagnostics = Diagnostics(residual, jnp.full(residual.shape, steps, residual.dtype))
        return found[support.n_support :], diagnostics


def _conjugate_gradients(
    system, right: Float[Array, "n n_way episodes"]
) -> tuple[Float[Array, "n n_way episodes"], Array]:
    """Solve a symmetric, positive definite system for each class of each episode, and the number of steps."""

    def inner(a, b):
        return total(a * b, 0)

    def step(carry):
        x, r, p, squares, count = carry
        q = system(p)
        length = squares / jnp.maximum(inner(p, q), _TINY)
        x, r = x + length * p, r - length * q
        new = inner(r, r)
        return x, r, r + new / jnp.maximum(squares, _TINY) * p, new, count + 1

    def go_on(carry):
        return (carry[-1] < _MOST_PRODUCTS) & (carry[3] > _STOP**2).any()

    start = (jnp.zeros_like(right), right, right, inner(right, right), jnp.int32(0))
    end = lax.while_loop(go_on, step, start)
    return end[0], end[-1]
