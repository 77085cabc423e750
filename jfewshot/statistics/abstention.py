"""Risk-coverage curves: the share of wrong answers if a classifier answers only its most confident queries.

Queries of an episode are sorted by confidence. At coverage i / n the first i of n queries are answered, and the *risk* is the
share of these answers that is wrong (El-Yaniv and Wiener, JMLR 2010). The area under this curve, AURC, is the mean of the risks
at i = 1 .. n (Geifman, Uziel and El-Yaniv, ICLR 2019). The errors of queries with equal confidence are averaged.
"""

import numpy as np
from jaxtyping import Float, Shaped


def risk_curve(
    confidence: Float[np.ndarray, "n_episodes n_queries"], correct: Shaped[np.ndarray, "n_episodes n_queries"]
) -> Float[np.ndarray, "n_episodes n_queries"]:
    """The risk of each episode at coverages 1 / n, 2 / n, ..., 1.

    Args:
      confidence: of each query; any numbers that order the queries of an episode.
      correct: whether each query was given to its class.
    """
    return _curve(confidence, correct)[0]


def risk_areas(
    confidence: Float[np.ndarray, "n_episodes n_queries"], correct: Shaped[np.ndarray, "n_episodes n_queries"]
) -> Float[np.ndarray, "n_episodes n_queries"]:
    """The contribution of each query to the area under the risk-coverage curve of its episode.

    A query of rank j (1 for the most confident) with error e changes the risks R_i at its own coverage and at larger
    ones. To first order the area without it differs by its value

        v = R_j + sum over i >= j of (e - R_i) / i,

    up to the area itself. The second terms of all queries sum to zero, so that the mean of v over an episode is its area.

    Args:
      confidence: of each query; any numbers that order the queries of an episode.
      correct: whether each query was given to its class.

    Returns:
      values whose mean over an episode's queries is the episode's area, in the order of the queries.
    """
    risk, wrong, order = _curve(confidence, correct)
    rank = np.arange(1, risk.shape[1] + 1)

    def from_here(values: np.ndarray) -> np.ndarray:
        return values[:, ::-1].cumsum(axis=1)[:, ::-1]

    value = risk + wrong * from_here(np.broadcast_to(1.0 / rank, risk.shape)) - from_here(risk / rank)
    found = np.empty_like(value)
    np.put_along_axis(found, order, value, axis=1)
    return found


def _curve(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Risks, the errors of the queries by descending confidence (averaged over equal confidences), and that order."""
    n_episodes, n_queries = confidence.shape
    order = np.argsort(-confidence, axis=1, kind="stable")
    ordered = np.take_along_axis(confidence, order, axis=1)
    wrong = 1.0 - np.take_along_axis(correct, order, axis=1).astype(np.float64)
    starts = np.ones((n_episodes, n_queries), bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    tie = starts.ravel().cumsum() - 1
    shared = np.bincount(tie, wrong.ravel()) / np.bincount(tie)
    wrong = shared[tie].reshape(wrong.shape)
    return wrong.cumsum(axis=1) / np.arange(1, n_queries + 1), wrong, order
