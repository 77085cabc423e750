"""Wilcoxon's signed-rank test: is one system better than another over many cells, each of which counts the same?"""

import numpy as np
from jaxtyping import Float, Integer
from scipy import special

# Up to this many differences, every pattern of signs is counted; with more, the normal approximation is used, as SciPy does.
_EXACT = 50
# Accuracies are multiples of one over the number of queries. Their differences are equal up to rounding errors, which
# this removes, so that equal differences share a rank.
_DECIMALS = 12


def signed_rank_p(differences: Float[np.ndarray, " n"]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (Biometrics 1945) that differences are symmetric around zero.

    The differences are ranked by their size, equal sizes get their mean rank, and the statistic is the sum of the
    ranks of the positive differences. Differences of zero are left out. The p-value is exact for up to 50 differences,
    also with equal ones, so that n differences never give less than 2^(1 - n). With more, it is that of the normal
    approximation with the correction for equal sizes. `scipy.stats.wilcoxon` is not used for two reasons: `jfewshot run`
    prints this p-value, and `scipy.stats` takes nearly a second to load; and SciPy approximates the p-value of 14 or
    more differences if any two have equal sizes.

    Args:
      differences: paired differences between two systems, one for each cell.

    Returns:
      the p-value, 0-1; 1 if all differences are zero.
    """
    rounded = np.round(differences, _DECIMALS)
    rounded = rounded[rounded != 0]
    n = len(rounded)
    if n == 0:
        return 1.0
    _, place, count = np.unique(np.abs(rounded), return_inverse=True, return_counts=True)
    # Twice the mean rank, which is a whole number: the ranks of equal sizes end at the sum of counts so far.
    twice = (2 * np.cumsum(count) - count + 1)[place.reshape(-1)]
    positive = int(twice[rounded > 0].sum())
    if n <= _EXACT:
        return _exact_p(twice, positive)
    variance = (n * (n + 1) * (2 * n + 1) - (count**3 - count).sum() / 2) / 24
    return float(2 * special.ndtr(-abs(positive / 2 - n * (n + 1) / 4) / np.sqrt(variance)))


def fewest_differences(n_tests: int, alpha: float = 0.05) -> int:
    """The smallest number of differences at which one of several tests can be significant after Holm's correction.

    If all n differences have one sign, the p-value is 2^(1 - n), and Holm multiplies the smallest of several p-values by
    their number.

    Args:
      n_tests: number of tests that are corrected together, at least 1.
      alpha: the level.

    Returns:
      the number of differences: 6 for a single test at 5%.
    """
    n = 1
    while n_tests * 2.0 ** (1 - n) >= alpha:
        n += 1
    return n


def _exact_p(twice: Integer[np.ndarray, " n"], positive: int) -> float:
    """The share of sign patterns whose sum is at least as far from the middle as the observed one."""
    # ways[s]: share of the sign patterns in which the ranks of the positive differences sum to s / 2.
    ways = np.zeros(int(twice.sum()) + 1)
    ways[0] = 1.0
    for rank in twice:
        ways[rank:] = (ways[rank:] + ways[:-rank]) / 2
        ways[:rank] /= 2
    below, above = ways[: positive + 1].sum(), ways[positive:].sum()
    return float(min(1.0, 2 * min(below, above)))
