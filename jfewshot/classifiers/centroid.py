"""Nearest class mean: the head of ProtoNet (Snell et al., NeurIPS 2017) and, on centred L2-normalised embeddings, of
SimpleShot (Wang et al., 2019)."""

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp

from jfewshot.classifiers.base import Diagnostics, Strength, Support, class_sums


@dataclasses.dataclass(frozen=True)
class Centroid:
    """Nearest centroid.

    With m_c the mean of class c's supports: "euclidean" scores q.m_c - |m_c|^2 / 2, which orders the classes as the distance
    does; "cosine" scores q.m_c / |m_c|, which orders them as the angle does.

    Attributes:
      metric: "euclidean" or "cosine".
    """

    metric: Literal["euclidean", "cosine"] = "euclidean"

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = None

    @property
    def translation_invariant(self) -> bool:
        return self.metric == "euclidean"

    def fit(self, support: Support, strength=None):
        between_means = class_sums(jnp.swapaxes(class_sums(support.gram, support), 0, 1), support) / support.k_shot**2
        squared_length = jnp.stack([between_means[c, c] for c in range(support.n_way)])
        return squared_length, Diagnostics.none(support)

    def score(self, model, support, gram_qs):
        with_means = class_sums(gram_qs, support) / support.k_shot
        if self.metric == "euclidean":
            return with_means - 0.5 * model
        # Opposite supports can cancel to a mean of length zero, which has no direction: every query scores 0 on it.
        return with_means / jnp.sqrt(jnp.maximum(model, jnp.finfo(model.dtype).tiny))
