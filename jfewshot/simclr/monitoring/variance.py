"""Measures how far the embeddings of an encoder are apart, in float64. Uses no JAX."""

import numpy as np
from jaxtyping import Float

from jfewshot.store.diagnostics.spectrum import centred


def spread(embeddings: Float[np.ndarray, "n dim"]) -> float:
    """Compute the mean squared distance of embeddings from their mean, divided by their mean square.

    Args:
      embeddings: one row for each recording.

    Returns:
      0 if all embeddings are equal, 1 if their mean is zero.
    """
    embeddings = np.asarray(embeddings, np.float64)
    square = float(np.mean(np.sum(np.square(embeddings), axis=1)))
    if square == 0:
        return 0.0
    return float(np.mean(np.sum(np.square(centred(embeddings)), axis=1)) / square)
