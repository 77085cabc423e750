"""Numbers that tell how much room embeddings take. NumPy only, in float64."""

import numpy as np
from jaxtyping import Float


def effective_rank(embeddings: Float[np.ndarray, "n dim"]) -> float:
    """Effective rank (Roy and Vetterli, EUSIPCO 2007): the exponential of the entropy of the singular values.

    exp(-sum p_i ln p_i) with p_i = s_i / sum s, s the singular values of the embeddings without their mean. It is r for r
    directions of equal strength, and between 1 and the smaller of dim and n - 1. (RankMe, Garrido et al., ICML 2023, is this
    number with the mean left in, which LayerNorm makes the largest direction.)

    Args:
      embeddings: one a row.

    Returns:
      the effective rank; 0 where all embeddings are the same.
    """
    values = np.linalg.svd(_centred(embeddings), compute_uv=False)
    if values.sum() == 0:
        return 0.0
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def spread(embeddings: Float[np.ndarray, "n dim"]) -> float:
    """How far embeddings lie apart: the mean squared distance from their mean, divided by the mean square.

    Args:
      embeddings: one a row.

    Returns:
      0 where all are the same, 1 where their mean is zero.
    """
    square = float(np.mean(np.sum(np.square(np.asarray(embeddings, np.float64)), axis=1)))
    if square == 0:
        return 0.0
    return float(np.mean(np.sum(np.square(_centred(embeddings)), axis=1)) / square)


def _centred(embeddings: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    embeddings = np.asarray(embeddings, np.float64)
    return embeddings - embeddings.mean(axis=0)
