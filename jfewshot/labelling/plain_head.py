"""The head of the comparison: `ridge:alpha=auto` on any number of labelled clips in each class, padded to one size.

Padding lets one compiled program serve every budget and every round: clips beyond a budget have weight 0. The definition is that
of `classifiers/leave_one_out.py` and `classifiers/ridge.py`; classes without a labelled clip are never predicted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jfewshot.classifiers.ridge import Ridge

_GRID = np.array(Ridge.strength.grid, np.float32) if Ridge.strength else np.zeros(0, np.float32)
_OF_SPREAD, _ONE_SHOT = 0.2, 1.0  # as in classifiers/leave_one_out.py
_TINY = 1e-30


class Head(NamedTuple):
    """A linear classifier: scores = inner products with the labelled clips @ alpha + bias.

    Attributes:
      alpha: coefficients on the labelled clips; 0 for padding.
      bias: one per class; minus infinity for a class that no labelled clip has.
      strength: the penalty that these clips chose.
    """

    alpha: Float[Array, "n classes"]
    bias: Float[Array, " classes"]
    strength: Float[Array, ""]

    def scores(self, gram: Float[Array, "q n"]) -> Float[Array, "q classes"]:
        """Scores of clips, from their inner products with the labelled clips."""
        return jnp.matmul(gram, self.alpha, precision=lax.Precision.HIGHEST) + self.bias


def fit(gram: Float[Array, "n n"], weight: Float[Array, " n"], classes: Int[Array, " n"], n_classes: int) -> Head:
    """Fit the head, and choose its penalty by leave-one-out.

    Args:
      gram: inner products of the labelled clips.
      weight: 1 for a clip that takes part, 0 for padding; one clip takes part at least.
      classes: class of each clip.
      n_classes: how many classes there are.

    Returns:
      the head.
    """
    count = weight.sum()
    targets = jax.nn.one_hot(classes, n_classes, dtype=gram.dtype) * weight[:, None]
    share = targets.sum(0) / count
    mean_row = gram @ weight / count
    mean = weight @ mean_row / count
    inside = weight[:, None] * weight[None]
    centred = inside * (gram - mean_row[:, None] - mean_row[None] + mean)
    spread = jnp.trace(centred) / count
    # The constant vector has eigenvalue 0; moved to the far end, it takes part in no sum over eigenvectors.
    far = 2.0 * jnp.trace(centred) + 1.0
    values, vectors = jnp.linalg.eigh(centred + far * inside / count, symmetrize_input=False)
    grid = jnp.asarray(_GRID)
    shrunk = 1.0 / (jnp.maximum(values, 0.0)[:, None] + grid)
    labels = weight[:, None] * (targets - share)
    exact = lax.Precision.HIGHEST
    rotated = jnp.matmul(vectors.T, labels, precision=exact)
    coefficients = jnp.einsum("nr,rg,rc->gnc", vectors, shrunk, rotated, precision=exact)
    own = jnp.matmul(vectors**2, shrunk, precision=exact) - (weight / count)[:, None] / (far + grid)
    missed = (coefficients / jnp.maximum(own, _TINY).T[:, :, None]) ** 2
    missed = (missed * weight[:, None]).sum((1, 2)) / (count * n_classes)
    single = count == (share > 0).sum(dtype=count.dtype)  # no clip can be left out: the embeddings' scale alone decides
    rule = jnp.maximum(spread * jnp.where(single, _ONE_SHOT, _OF_SPREAD), _TINY)
    doubt = 0.5 * (jnp.log10(grid) - jnp.log10(rule)) ** 2
    told = jnp.where(single, 0.0, 0.5 * count * jnp.log(jnp.maximum(missed, _TINY)))
    place = jnp.argmin(told + doubt)
    alpha = 2.0 * coefficients[place] * weight[:, None]
    bias = 2.0 * share - 1.0 - jnp.matmul(mean_row, alpha, precision=exact)
    return Head(alpha, jnp.where(share > 0, bias, -jnp.inf), grid[place])


def margins(scores: Float[Array, "n classes"]) -> Float[Array, " n"]:
    """How far the highest score of each clip is above the second highest; infinite where there is a single class."""
    best = lax.top_k(scores, 2)[0]
    return jnp.where(jnp.isinf(best[:, 1]), jnp.inf, best[:, 0] - best[:, 1])
