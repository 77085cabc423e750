"""Quality of probabilities: log-loss, expected calibration error, and top-k accuracy.

Each function gives one value per query whose mean over all queries is the number that is reported, so that the jackknife over
classes and clips (pool.py) gives its intervals as it does for accuracy.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

BINS = 15


class Reliability(NamedTuple):
    """Confidence and accuracy in bins of confidence of equal width.

    Attributes:
      share: share of all queries in each bin.
      confidence: mean confidence of the bin's queries; NaN in an empty bin.
      accuracy: share of the bin's queries that are correct; NaN in an empty bin.
    """

    share: Float[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def tempered(
    log_probability: Float[np.ndarray, "n_episodes n_queries n_way"], factor: Float[np.ndarray, " n_episodes"]
) -> Float[np.ndarray, "n_episodes n_queries n_way"]:
    """Log-probabilities whose logits are multiplied by a factor: by 1 / T for a temperature T.

    Args:
      log_probability: log-probability of each query and class.
      factor: factor of each episode.
    """
    logits = log_probability.astype(np.float64) * factor.astype(np.float64)[:, None, None]
    logits -= logits.max(axis=2, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))


def log_losses(
    log_probability: Float[np.ndarray, "n_episodes n_queries n_way"], true: Integer[np.ndarray, " n_queries"]
) -> Float[np.ndarray, "n_episodes n_queries"]:
    """Minus the log-probability of each query's class; the mean is the negative log-likelihood, in nats.

    Args:
      log_probability: of each query and class.
      true: the class of each query, the same in all episodes.
    """
    return -log_probability[:, np.arange(len(true)), true].astype(np.float64)


def calibration_errors(
    confidence: Float[np.ndarray, "n_episodes n_queries"], correct: Shaped[np.ndarray, "n_episodes n_queries"]
) -> Float[np.ndarray, "n_episodes n_queries"]:
    """The contribution of each query to the expected calibration error (Guo et al., ICML 2017, equation 3; 15 equal bins).

    ECE = sum over bins of n_b / n |accuracy_b - confidence_b|, over the queries of all episodes together: an episode's
    few queries would leave most bins nearly empty, and the absolute values would count their noise. With s_b the sign
    of a bin's difference, ECE is the mean over the queries of s_b (correct - confidence). If no sign is uncertain, this
    is also the first-order effect on the error of leaving the query out.

    Args:
      confidence: the highest probability of each query.
      correct: whether each query was given to its class.

    Returns:
      values whose mean is the error.
    """
    gap = correct.astype(np.float64) - confidence
    place = _bin_of(confidence)
    sign = np.sign(np.bincount(place.ravel(), gap.ravel(), BINS))
    return sign[place] * gap


def reliability(
    confidence: Float[np.ndarray, "n_episodes n_queries"], correct: Shaped[np.ndarray, "n_episodes n_queries"]
) -> Reliability:
    """The bins of `calibration_errors`, for a reliability diagram.

    Args:
      confidence: the highest probability of each query.
      correct: whether each query was given to its class.
    """
    place = _bin_of(confidence).ravel()
    count = np.bincount(place, minlength=BINS)
    sums = (np.bincount(place, values.ravel().astype(np.float64), BINS) for values in (confidence, correct))
    with np.errstate(invalid="ignore"):
        return Reliability(count / count.sum(), *(values / np.where(count > 0, count, np.nan) for values in sums))


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    """Bin b holds confidences above b / 15 and up to (b + 1) / 15."""
    return np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)


def among_first(
    log_probability: Float[np.ndarray, "n_episodes n_queries n_way"], true: Integer[np.ndarray, " n_queries"], k: int
) -> Bool[np.ndarray, "n_episodes n_queries"]:
    """Whether each query's class is among its k most probable classes; of equal ones, the smaller class index comes first.

    Args:
      log_probability: of each query and class.
      true: the class of each query, the same in all episodes.
      k: how many classes count.

    Returns:
      one truth value for each query.
    """
    own = log_probability[:, np.arange(len(true)), true][:, :, None]
    earlier = np.arange(log_probability.shape[2]) < true[:, None]
    before = (log_probability > own) | ((log_probability == own) & earlier)
    return before.sum(axis=2) < k
