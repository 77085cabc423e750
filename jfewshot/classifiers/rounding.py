"""Estimates the rounding error of a classifier's scores, relative to the spread of the scores."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jfewshot.classifiers.base import Linear, Support
from jfewshot.classifiers.linalg import largest, total

# Episodes with rounding errors above this share of the scores' spread count as imprecise. In tests with estimates below
# it, predictions differed from those of float64 only if the best two scores were less than a thousandth of the spread
# apart.
IMPRECISE = 1e-3


def rounding_error(
    model: Any, support: Support, gram_qs: Float[Array, "n_query n_support episodes"]
) -> Float[Array, "episodes"]:
    """Estimate the rounding error of a linear classifier's scores, as a share of their spread over the classes.

    To first order a score K_q alpha + b has an error of eps (max |K| |alpha| + |b| + 1), where eps is the distance of 1
    from the next number and |alpha| is the root of the sum of squares. The error of every inner product is that of the
    largest one, and b is computed from differences between labels and probabilities, margins or predictions, which are
    of order one. The spread is the mean difference between the highest and the lowest score of a query, over the first
    query of each class. Small penalties make alpha large; strong ones, and embeddings that are nearly alike, make the
    spread small.

    Args:
      model: as `fit` returned it.
      support: the support sets.
      gram_qs: inner products of queries and supports, the queries in class-major order.

    Returns:
      the share per episode; infinite where all scores are equal, NaN for a model that is not a `Linear`.
    """
    if not isinstance(model, Linear):
        return jnp.full(gram_qs.shape[-1], jnp.nan, gram_qs.dtype)
    queries = gram_qs[:: max(1, gram_qs.shape[0] // support.n_way)]
    scores = model.scores(queries)
    spread = total(largest(scores, 1) + largest(-scores, 1), 0) / scores.shape[0]
    squares = jnp.stack([support.gram[i, i] for i in range(support.n_support)])
    product = jnp.maximum(largest(squares, 0), largest(largest(jnp.abs(queries), 1), 0))
    size = jnp.sqrt(largest(total(model.alpha * model.alpha, 0), 0))
    error = product * size + largest(jnp.abs(model.bias), 0) + 1.0
    share = jnp.finfo(scores.dtype).eps * error / spread
    return jnp.where(jnp.isnan(share), jnp.inf, share)
