"""k nearest neighbours among the supports."""

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp

from jfewshot.classifiers.base import Diagnostics, Strength, Support, class_sums
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class KNN:
    """k nearest neighbours with uniform votes, as scikit-learn's KNeighborsClassifier; ties go to the smallest class index.

    Attributes:
      k: how many neighbours vote; by default only the nearest.
      metric: "euclidean" or "cosine".
    """

    k: int = 1
    metric: Literal["euclidean", "cosine"] = "euclidean"

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = None

    @property
    def translation_invariant(self) -> bool:
        return self.metric == "euclidean"

    def fit(self, support: Support, strength=None):
        if not 1 <= self.k <= support.n_support:
            raise UserError(f"knn: k is {self.k}, but an episode has {support.n_support} supports; lower k")
        squared_norm = jnp.stack([support.gram[i, i] for i in range(support.n_support)])
        return squared_norm, Diagnostics.none(support)

    def score(self, model, support, gram_qs):
        tiny = jnp.finfo(gram_qs.dtype).tiny
        if self.metric == "euclidean":
            closeness = gram_qs - 0.5 * model
        else:
            closeness = gram_qs / jnp.sqrt(jnp.maximum(model, tiny))
        by_class = closeness.reshape(closeness.shape[0], support.n_way, support.k_shot, *closeness.shape[2:])
        if self.k == 1:
            nearest = by_class[:, :, 0]
            for shot in range(1, support.k_shot):
                nearest = jnp.maximum(nearest, by_class[:, :, shot])
            return nearest
        return class_sums(_votes(closeness, self.k), support)


def _votes(closeness, k):
    """1 for the k closest supports of each query (the first ones among equals), else 0."""
    votes = jnp.zeros_like(closeness)
    n_support = closeness.shape[1]
    position = jnp.arange(n_support, dtype=jnp.int32)[None, :, None]
    for _ in range(k):
        closest = closeness.max(1, keepdims=True)
        first = jnp.where(closeness == closest, position, n_support).min(1, keepdims=True)
        votes = jnp.where(position == first, 1.0, votes)
        closeness = jnp.where(position == first, -jnp.inf, closeness)
    return votes
