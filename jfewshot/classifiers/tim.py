"""Transductive information maximisation by alternating directions: TIM-ADM of Boudiaf et al. (NeurIPS 2020). Transductive."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from jfewshot.classifiers.base import Strength, Support
from jfewshot.classifiers.linalg import largest, total
from jfewshot.classifiers.transductive import Queries, labels_of, over_points, settled, together

_ROUNDS = 150  # as in the paper
_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class TIM:
    """Finds centroids that fit the supports, classify each query with high confidence, and use all classes equally.

    With p_ik the softmax over the classes k of -sharpness / spread times the squared distance of point i from centroid k, TIM
    minimises, over the centroids (equation 3 of the paper),

        support_weight CE(supports) - H(mean of p over the queries) + entropy_weight (mean over the queries of H(p_i)),

    with CE the cross-entropy and H the entropy. Alternating directions add an assignment q of the queries to the
    classes (proposition 1): q_ik is p_ik^(1 + entropy_weight) over the square root of its sum over the queries, scaled
    to sum 1 over the classes, and each centroid then moves to the point where the gradient is zero for fixed p. Each
    new centroid is a linear combination of points and of the old centroid, so inner products suffice. The solver stops
    when no probability changes any more, or after 150 rounds.

    The term H(mean) favours equally many queries in each class. In `alpha_tim` this preference is weaker.

    Attributes:
      sharpness: how fast probabilities fall with the squared distance, as a multiple of 1 / spread. (The paper's temperature is
        twice this number over the spread.)
      support_weight: lambda of the paper.
      entropy_weight: alpha of the paper.
    """

    sharpness: float = 6.0
    support_weight: float = 0.1
    entropy_weight: float = 0.1

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
          the probabilities p of the queries, and the largest change of one of them in the last round.
        """
        points = together(support, queries)
        labels, n_support = labels_of(support, points), support.n_support
        counts = queries.counts.T[:, None]
        # The weights of one support and of one query in the sums of the paper's equation 8.
        of_support = self.support_weight / (1.0 + self.entropy_weight) / n_support
        of_query = counts / counts.sum(2, keepdims=True)
        weights = jnp.concatenate([jnp.full((*of_query.shape[:2], n_support), of_support), of_query], 2)
        scale = (self.sharpness / points.spread)[:, None, None]

        def step(centroids):
            logits = scale * points.nearness(centroids)
            logits = logits - largest(logits, 1)[:, None]
            unnormalised = jnp.exp(logits)
            sums = total(unnormalised, 1)[:, None]
            p = unnormalised / sums
            log_p = (logits - jnp.log(sums))[:, :, n_support:]
            sharp = jnp.exp((1.0 + self.entropy_weight) * log_p) * counts
            q = sharp / jnp.sqrt(jnp.maximum(over_points(sharp), _TINY))[:, :, None]
            q = q / jnp.maximum(total(q, 1), _TINY)[:, None]
            wanted, held = weights * jnp.concatenate([labels[:, :, :n_support], q], 2), weights * p
            # sum_i of wanted_i z_i + held_i (w - z_i), over the sum of wanted.
            shares, kept = over_points(wanted)[:, :, None], over_points(held)[:, :, None]
            return (wanted - held + kept * centroids) / shares, p[:, :, n_support:] * counts

        start = labels / over_points(labels)[:, :, None]
        return settled(step, start, jnp.zeros_like(labels[:, :, n_support:]), _ROUNDS)
