"""The expected accuracy on new clips, with an interval that accounts for the random sample of new clips.

k of n clips were classified correctly when they were left out, and m new clips come. With p the estimated accuracy, r the
correlation between the outcomes of two clips of one group, and D(c) = 1 + (c - 1) r the design effect (Kish, 1965) of groups of c
clips,

    Var(share of the m new clips - p) = p (1 - p) (D(c_now) / n + D(c_new) / m).

The interval is that of a beta-binomial distribution of m clips with this mean and variance. r is estimated by comparing
the variance between groups with a binomial one. The variance between few groups is uncertain, so r is multiplied by (t
/ z)^2, the squared ratio of two quantiles: that of Student's distribution with one degree of freedom less than groups,
and that of the normal distribution.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from scipy import special

_MOST_CORRELATED = 0.9


class Outcomes(NamedTuple):
    """The results of a head on clips that were left out.

    Attributes:
      n_correct: clips that were classified correctly.
      n: clips.
      n_groups: number of groups; n if every clip is its own group.
      clips_per_group: the size of the group of an average clip, sum of squared sizes / n.
      correlation: between the outcomes of two clips of one group, already multiplied for few groups; 0 or more.
    """

    n_correct: int
    n: int
    n_groups: int
    clips_per_group: float
    correlation: float

    @property
    def accuracy(self) -> float:
        return self.n_correct / self.n


def outcomes_of(correct: Bool[np.ndarray, " n"], groups: Int[np.ndarray, " n"]) -> Outcomes:
    """Count outcomes, and estimate the correlation of outcomes within groups.

    Args:
      correct: whether each clip was classified correctly.
      groups: group number of each clip.

    Returns:
      the outcomes, for `expected_interval`.
    """
    n = len(correct)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n_groups, per_group = len(sizes), float((sizes.astype(float) ** 2).sum() / n)
    p = (correct.sum() + 0.5) / (n + 1)
    correlation = 0.0
    if 1 < n_groups < n:
        off = np.bincount(group, correct - correct.mean())
        effect = (off**2).sum() / n * n_groups / (n_groups - 1) / (p * (1 - p))
        few = (special.stdtrit(n_groups - 1, 0.975) / special.ndtri(0.975)) ** 2
        correlation = float(np.clip(few * (effect - 1) / (per_group - 1), 0.0, _MOST_CORRELATED))
    return Outcomes(int(correct.sum()), n, n_groups, per_group, correlation)


def expected_interval(
    outcomes: Outcomes, m: int, clips_per_group: float | None = None, level: float = 0.95
) -> tuple[float, float]:
    """The interval for the share of correctly classified clips among m new clips.

    Args:
      outcomes: outcomes of the clips that were left out.
      m: number of new clips, 2 or more.
      clips_per_group: the size of the group of an average new clip; None for the value of the labelled clips, but at
          most m.
      level: the probability that the share lies in the interval.

    Returns:
      the lowest and the highest share, 0-1.
    """
    from scipy import stats  # loaded late: see `ranks.rank_test`

    new = float(min(outcomes.clips_per_group, m)) if clips_per_group is None else clips_per_group
    p = (outcomes.n_correct + 0.5) / (outcomes.n + 1)

    def effect(size: float) -> float:
        return 1 + (size - 1) * outcomes.correlation

    spread = (effect(outcomes.clips_per_group) * m / outcomes.n + effect(new) - 1) / (m - 1)
    total = 1 / min(max(spread, 1e-9), 0.999) - 1
    share = stats.betabinom(m, p * total, (1 - p) * total)
    return float(share.ppf((1 - level) / 2)) / m, float(share.ppf((1 + level) / 2)) / m
