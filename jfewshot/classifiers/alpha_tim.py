"""Transductive information maximisation for queries whose classes are not balanced: alpha-TIM of Veilleux et al. (NeurIPS 2021).
Transductive."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from jfewshot.classifiers.base import Strength, Support
from jfewshot.classifiers.linalg import softmax, total
from jfewshot.classifiers.transductive import Queries, labels_of, over_points, settled, together
from jfewshot.errors import UserError

_ROUNDS = 150


@dataclasses.dataclass(frozen=True)
class AlphaTIM:
    """TIM with Tsallis entropies instead of Shannon entropies; they penalise unequal numbers of queries less.

    With p_ik as in `TIM`, and H_alpha(p) = (1 - sum_k p_k^alpha) / (alpha - 1), it minimises over the centroids

        support_weight CE(supports) - H_alpha(mean of p over the queries) + mean over the queries of H_alpha(p_i),

    where the cross-entropy CE is Shannon's, which is the default of the authors' code. The limit of alpha = 1 is TIM's loss.

    The paper minimises by Adam. Adam scales each feature of a centroid separately, so its steps cannot be computed from
    inner products. This solver takes plain gradient steps. The gradient with respect to a centroid is a sum over the
    points of g_ik (z_i - w_k), so a centroid stays a combination of points, and inner products suffice. Each step is
    divided by 2 sharpness / spread and by the share of points that the centroid has, and multiplied by `rate`. A
    centroid starts at the mean of its supports. The problem is not convex, so another solver may find another solution.
    The solver stops when no probability changes any more, or after 150 rounds.

    Attributes:
      sharpness: how fast probabilities fall with the squared distance, as a multiple of 1 / spread.
      alpha: of the entropies, above 1.
      support_weight: weight of the supports.
      rate: step size.
    """

    sharpness: float = 6.0
    alpha: float = 2.0
    support_weight: float = 1.0
    rate: float = 1.0

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = 1e-2
    translation_invariant: ClassVar[bool] = True
    transductive: ClassVar[bool] = True

    def __post_init__(self):
        if self.alpha <= 1:
            raise UserError(f"alpha_tim: alpha is {self.alpha:g}; it must be above 1 (tim is the limit of 1)")

    def solve(self, support: Support, queries: Queries, strength=None):
        """Score the queries of many episodes; see `Transductive.solve`.

        Args:
          support: the support sets.
          queries: the queries of the same episodes.
          strength: ignored.

        Returns:
          the probabilities p of the queries, and the largest change of one of them in the last round.
        """
        points = together(support, queries)
        labels, n_support = labels_of(support, points), support.n_support
        counts = queries.counts.T[:, None]
        each = counts / counts.sum(2, keepdims=True)
        of_support = self.support_weight / n_support
        scale = (self.sharpness / points.spread)[:, None, None]

        def step(centroids):
            p = softmax(scale * points.nearness(centroids))
            p_query = p[:, :, n_support:] * counts
            mean = over_points(each * p_query)[:, :, None]
            # Derivatives by p of the entropies, then by the softmax's argument.
            by_p = self.alpha / (self.alpha - 1.0) * (mean ** (self.alpha - 1.0) - p_query ** (self.alpha - 1.0))
            by_query = each * p_query * (by_p - total(p_query * by_p, 1)[:, None])
            by_support = of_support * (p - labels)[:, :, :n_support]
            slope = jnp.concatenate([by_support, by_query], 2)
            length = self.rate / (self.support_weight / support.n_way + mean)
            return centroids - length * (slope - over_points(slope)[:, :, None] * centroids), p_query

        start = labels / over_points(labels)[:, :, None]
        return settled(step, start, jnp.zeros_like(labels[:, :, n_support:]), _ROUNDS)
