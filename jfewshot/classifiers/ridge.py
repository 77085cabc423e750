"""Ridge regression on the labels."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from jfewshot.classifiers.base import Diagnostics, Linear, Strength, Support, centred
from jfewshot.classifiers.linalg import computed_once, inverse, product, total


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Least squares on labels of +1 and -1 with penalty alpha |W|^2 and a free intercept: scikit-learn's RidgeClassifier.

    With the supports' mean taken out of K and of the labels Y, the coefficients are (K + alpha I)^-1 Y: one solve.
    """

    strength: ClassVar[Strength | None] = Strength("alpha", 1.0)
    translation_invariant: ClassVar[bool] = True
    tolerance: ClassVar[float | None] = None

    def fit(self, support: Support, strength):
        gram, mean_row = centred(support.gram)
        target = 2.0 * support.one_hot - 1.0
        mean_target = target.mean(0)
        identity = jnp.eye(support.n_support, dtype=gram.dtype)[:, :, None]
        solve = inverse(gram + strength * identity)
        right = jnp.broadcast_to(target - mean_target, (*target.shape[:2], gram.shape[-1]))
        alpha = computed_once(product, solve, right)
        # One step of refinement: the explicit inverse loses digits where alpha is small beside the Gram matrix.
        alpha = alpha + computed_once(product, solve, right - computed_once(product, gram, alpha) - strength * alpha)
        return Linear(alpha, mean_target - total(mean_row[:, None] * alpha, 0)), Diagnostics.none(support)

    def score(self, model, support, gram_qs):
        return model.scores(gram_qs)
