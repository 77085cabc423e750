"""Does a ranking from few labels agree with a ranking from many? Rank correlations over the same systems, with intervals.

The interval is for other systems of this kind. Two methods are computed, and on each side the wider end of the two is
used:

- the percentile bootstrap over systems (a system is drawn with its accuracies on all datasets);
- Fisher's z with the variance (1 + r^2 / 2) / (n - 3) that Bonett and Wright (Psychometrika 2000) found for Spearman's
  coefficient. A perfect agreement has no finite z. In that case r is lowered by half of the effect of exchanging two
  neighbours.

With five systems and a true coefficient of 0.95, the bootstrap alone contained the true value in 66% of 400 simulated
samples; with 13 systems and 0.99, z alone contained it in 82%. Together they contained it in 89% or more of 300 samples
in each of twelve cases of 5 to 30 systems (tests/statistics/test_agreement.py has three of these).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.statistics.intervals import Z95
from jfewshot.statistics.ranks import as_read

LEAST_SYSTEMS = 5  # with fewer systems an interval is meaningless
_AT_ONCE = 200_000  # ranks that are compared in one step


class Agreement(NamedTuple):
    """Spearman's coefficients between two rankings of the same systems.

    Attributes:
      coefficient: one for each dataset, and their mean as the last; NaN for fewer than 3 systems, or if all are equal.
      low: lower end of the 95% interval; NaN for fewer than `LEAST_SYSTEMS` systems.
      high: upper end of the 95% interval.
      n_systems: systems that were ranked.
    """

    coefficient: Float[np.ndarray, " n_datasets_and_mean"]
    low: Float[np.ndarray, " n_datasets_and_mean"]
    high: Float[np.ndarray, " n_datasets_and_mean"]
    n_systems: int


def rank_agreement(
    few: Float[np.ndarray, "n_systems n_datasets"],
    many: Float[np.ndarray, "n_systems n_datasets"],
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> Agreement:
    """Spearman's coefficient between two rankings, on each dataset and on average over the datasets.

    Args:
      few: accuracies 0-1 with few labels; compared as tables print them, in percent with two decimals.
      many: accuracies 0-1 of the same systems on the same datasets with many labels.
      n_bootstrap: resamples of the systems.
      seed: seed of the resamples.

    Returns:
      the coefficients and their intervals for other systems of this kind and the same datasets.
    """
    n_systems, n_datasets = few.shape
    unknown = np.full(n_datasets + 1, np.nan)
    if n_systems < 3:
        return Agreement(unknown, unknown.copy(), unknown.copy(), n_systems)
    first, second = as_read(100 * few), as_read(100 * many)
    whole = np.arange(n_systems)[None]
    coefficient = _with_mean(first, second, whole)[0]
    if n_systems < LEAST_SYSTEMS:
        return Agreement(coefficient, unknown, unknown.copy(), n_systems)
    drawn = np.random.default_rng(seed).integers(n_systems, size=(n_bootstrap, n_systems))
    resampled = _with_mean(first, second, drawn)
    low, high = _fisher(coefficient, n_systems)
    for place in np.flatnonzero(np.isfinite(coefficient)):
        ends = np.nanquantile(resampled[:, place], [0.025, 0.975])
        low[place], high[place] = min(low[place], ends[0]), max(high[place], ends[1])
    return Agreement(coefficient, low, high, n_systems)


def _with_mean(
    first: Float[np.ndarray, "n_systems n_datasets"],
    second: Float[np.ndarray, "n_systems n_datasets"],
    drawn: np.ndarray,
) -> Float[np.ndarray, "n_draws n_datasets_and_mean"]:
    """Coefficients of some samples of the systems, followed by the mean over the datasets."""
    step = max(1, _AT_ONCE // first.size)
    parts = [
        _spearman(first[rows].transpose(0, 2, 1), second[rows].transpose(0, 2, 1))
        for rows in np.split(drawn, range(step, len(drawn), step))
    ]
    each = np.concatenate(parts)
    return np.concatenate([each, each.mean(axis=1, keepdims=True)], axis=1)


def _spearman(
    first: Float[np.ndarray, "n_draws n_datasets n_systems"], second: Float[np.ndarray, "n_draws n_datasets n_systems"]
) -> Float[np.ndarray, "n_draws n_datasets"]:
    """Pearson's coefficient of the ranks, where ties get their mean rank; NaN if all values are equal."""
    from scipy import stats  # loaded late: see `ranks.rank_test`

    ranks = [stats.rankdata(one, axis=2) for one in (first, second)]
    x, y = (one - one.mean(axis=2, keepdims=True) for one in ranks)
    scale = np.sqrt((x**2).sum(axis=2) * (y**2).sum(axis=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, (x * y).sum(axis=2) / scale, np.nan)


def _fisher(
    coefficient: Float[np.ndarray, " n"], n_systems: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    most = 1 - 6 / (n_systems * (n_systems**2 - 1))
    inside = np.clip(coefficient, -most, most)
    reach = Z95 * np.sqrt((1 + inside**2 / 2) / (n_systems - 3))
    return np.tanh(np.arctanh(inside) - reach), np.tanh(np.arctanh(inside) + reach)
