"""Ranks of upstreams within each dataset; equal accuracies share a rank."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

# Accuracies that read the same in a table (57.10% and 57.10%) are the same: two decimals of a percent.
TIE_DECIMALS = 4


def rank_within_columns(
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"], method: Literal["average", "min"] = "average"
) -> Float[np.ndarray, "n_upstreams n_datasets"]:
    """Rank of each upstream on each dataset, 1 the most accurate.

    Args:
      accuracy: 0-1; compared after rounding to four decimals.
      method: what equal accuracies get. `average`, the mean of the ranks they take up (1, 2.5, 2.5, 4), as the Friedman
        test and the critical-difference diagram need; `min`, the best of them (1, 2, 2, 4), as the papers' Avg Rank.
    """
    return stats.rankdata(-np.round(accuracy, TIE_DECIMALS), method=method, axis=0)


def average_ranks(
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"], method: Literal["average", "min"] = "average"
) -> Float[np.ndarray, " n_upstreams"]:
    """Mean rank of each upstream over the datasets (see `rank_within_columns`)."""
    return rank_within_columns(accuracy, method).mean(axis=1)
