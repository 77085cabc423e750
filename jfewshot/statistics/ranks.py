"""Ranks of upstreams within each dataset; equal accuracies share a rank."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

# Number of decimals with which tables print percent.
READ_DECIMALS = 2


def as_read(values: Float[np.ndarray, "..."], decimals: int = READ_DECIMALS) -> Float[np.ndarray, "..."]:
    """Round numbers as a table prints them, so that ranks are equal exactly if the printed numbers are equal.

    NumPy's `round` multiplies before it rounds, so it disagrees with printing for numbers near a half of the last digit.

    Args:
      values: numbers in the unit that is printed, for instance percent; NaN stays NaN.
      decimals: how many decimals are printed.
    """
    values = np.asarray(values, dtype=np.float64)
    return np.array([float(f"{value:.{decimals}f}") for value in values.ravel()]).reshape(values.shape)


def rank_within_columns(
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"], method: Literal["average", "min"] = "average"
) -> Float[np.ndarray, "n_upstreams n_datasets"]:
    """Rank of each upstream on each dataset; rank 1 is the most accurate.

    Args:
      accuracy: 0-1; compared as tables print it, in percent with two decimals.
      method: the rank of equal accuracies. `average` gives the mean of their ranks (1, 2.5, 2.5, 4), as the Friedman
          test and the critical-difference diagram need; `min` gives the best of their ranks (1, 2, 2, 4), as in the
          papers' Avg Rank.
    """
    rounded = as_read(100 * accuracy)
    better = (rounded[None] > rounded[:, None]).sum(axis=1)
    equal = (rounded[None] == rounded[:, None]).sum(axis=1)  # counts the upstream itself
    ranks = 1.0 + better + (0.5 * (equal - 1) if method == "average" else 0.0)
    # An upstream without a value makes its dataset's ranks unknown.
    return np.where(np.isnan(rounded).any(axis=0), np.nan, ranks)


def average_ranks(
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"], method: Literal["average", "min"] = "average"
) -> Float[np.ndarray, " n_upstreams"]:
    """Mean rank of each upstream over the datasets (see `rank_within_columns`)."""
    return rank_within_columns(accuracy, method).mean(axis=1)


class RankTest(NamedTuple):
    """The result of a test of whether some upstreams are better than others over datasets.

    Attributes:
      average_rank: average rank of each upstream, where ties get their mean rank.
      p_value: p-value of Friedman's test of the hypothesis that all are equal.
      critical_difference: two average ranks that are further apart than this differ significantly at 5% (Nemenyi); None
        for one upstream or one dataset.
    """

    average_rank: Float[np.ndarray, " n_upstreams"]
    p_value: float | None
    critical_difference: float | None


def rank_test(accuracy: Float[np.ndarray, "n_upstreams n_datasets"], alpha: float = 0.05) -> RankTest:
    """Friedman's test and Nemenyi's critical difference (Demšar, JMLR 2006), q / sqrt(2) * sqrt(k (k + 1) / (6 n))."""
    from scipy import stats  # loaded here, since a run needs no tests and loading it takes as long as loading JAX

    k, n = accuracy.shape
    ranks = average_ranks(accuracy)
    if k < 2 or n < 2:
        return RankTest(ranks, None, None)
    q = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    if k == 2:  # with two, Friedman's test is the sign test, which is exact
        first = rank_within_columns(accuracy)[0]
        wins, losses = int((first == 1).sum()), int((first == 2).sum())
        p_value = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    else:
        rounded = as_read(100 * accuracy)
        same = bool((rounded == rounded[:1]).all())
        p_value = 1.0 if same else float(stats.friedmanchisquare(*rounded).pvalue)
    return RankTest(ranks, float(p_value), float(q * np.sqrt(k * (k + 1) / (6 * n))))


def indistinguishable_groups(
    average_rank: Float[np.ndarray, " n"], critical_difference: float
) -> list[tuple[int, ...]]:
    """Largest sets of upstreams whose average ranks lie within the critical difference: the bars of the diagram."""
    order = np.argsort(average_rank, kind="stable")
    groups: list[tuple[int, ...]] = []
    for start in range(len(order)):
        inside = [int(i) for i in order[start:] if average_rank[i] - average_rank[order[start]] <= critical_difference]
        if len(inside) > 1 and not any(set(inside) <= set(group) for group in groups):
            groups.append(tuple(inside))
    return groups


class DatasetBootstrap(NamedTuple):
    """95% intervals (low, high) of averages over datasets, for another sample of datasets.

    Attributes:
      accuracy: intervals of the average accuracy.
      rank: intervals of the average rank.
    """

    accuracy: Float[np.ndarray, "n_upstreams 2"]
    rank: Float[np.ndarray, "n_upstreams 2"]


def bootstrap_over_datasets(
    accuracy: Float[np.ndarray, "n_upstreams n_datasets"], n_draws: int = 4000, seed: int = 0
) -> DatasetBootstrap | None:
    """95% intervals of mean accuracies and mean ranks by the percentile bootstrap over datasets.

    Args:
      accuracy: accuracy (0-1) of each upstream on each dataset.
      n_draws: number of bootstrap samples.
      seed: seed of the bootstrap samples.

    Returns:
      the intervals; None for fewer than five datasets, which are too few to resample.
    """
    n_datasets = accuracy.shape[1]
    if n_datasets < 5:
        return None
    drawn = np.random.default_rng(seed).integers(n_datasets, size=(n_draws, n_datasets))
    counts = np.zeros((n_draws, n_datasets))
    np.add.at(counts, (np.arange(n_draws)[:, None], drawn), 1 / n_datasets)
    bounds = [
        np.quantile(values @ counts.T, [0.025, 0.975], axis=1).T for values in (accuracy, rank_within_columns(accuracy))
    ]
    return DatasetBootstrap(*bounds)
