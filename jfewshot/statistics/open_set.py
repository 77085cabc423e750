"""Queries of classes that are not among the supports: how well a confidence score separates them from the others.

Both measures are computed in each episode and averaged over the episodes, since in use there is one support set with
one threshold.
"""

import numpy as np
from jaxtyping import Float

_COMPARED_AT_ONCE = 2**24
RECALL = 0.95


def separations(
    known: Float[np.ndarray, "n_episodes n_known"], unknown: Float[np.ndarray, "n_episodes n_unknown"]
) -> Float[np.ndarray, "n_episodes n_queries"]:
    """The contribution of each query to the area under the ROC curve (AUROC) of its episode.

    The area A is the share of pairs of a known and an unknown query in which the known one has the higher confidence,
    where ties count half (Mann and Whitney). With V the share of unknown queries below a known one, and W the share of
    known queries above an unknown one, a query changes the area to first order by V - A or W - A (DeLong et al.,
    Biometrics 1988). The values are A plus these changes over the query's share of all queries.

    Args:
      known: confidence of the queries whose class is among the supports.
      unknown: confidence of the other queries.

    Returns:
      values of the known queries and then of the unknown ones, whose mean over an episode is its area.
    """
    n_known, n_unknown = known.shape[1], unknown.shape[1]
    above, below = np.empty(known.shape), np.empty(unknown.shape)
    step = max(1, _COMPARED_AT_ONCE // (n_known * n_unknown))
    for start in range(0, len(known), step):
        block = slice(start, start + step)
        one, other = known[block, :, None], unknown[block, None, :]
        wins = (one > other) + 0.5 * (one == other)
        above[block], below[block] = wins.mean(axis=2), wins.mean(axis=1)
    area = above.mean(axis=1, keepdims=True)
    total = n_known + n_unknown
    return np.concatenate(
        [area + (above - area) * (total / n_known), area + (below - area) * (total / n_unknown)], axis=1
    )


def false_positives(
    known: Float[np.ndarray, "n_episodes n_known"],
    unknown: Float[np.ndarray, "n_episodes n_unknown"],
    recall: float = RECALL,
) -> Float[np.ndarray, " n_episodes"]:
    """The share of unknown queries that are accepted as known, at the threshold that accepts a given share of the known queries.

    The threshold of an episode is the highest confidence of a known query that at least this share of the known queries reaches.
    Queries that reach it are accepted.

    Args:
      known: confidence of the queries whose class is among the supports.
      unknown: confidence of the other queries.
      recall: share of the known queries that are accepted.

    Returns:
      the false positive rate of each episode.
    """
    n_known = known.shape[1]
    # If float64 makes a whole number slightly larger, rounding up would require one query too many.
    accepted = int(np.ceil(recall * n_known - 1e-9))
    threshold = np.sort(known, axis=1)[:, n_known - accepted]
    return (unknown >= threshold[:, None]).mean(axis=1)
