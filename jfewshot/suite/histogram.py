"""Histograms of correct answers per episode, and the accuracy, its spread and its interval that follow from them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from jfewshot.statistics.intervals import Z95


class Accuracy(NamedTuple):
    """Accuracy over episodes, 0-1.

    Attributes:
      mean: over the episodes.
      std: over the episodes, ddof 0.
      ci95: 95% half-width of the mean, 1.96 std / sqrt(n_episodes).
    """

    mean: float
    std: float
    ci95: float


def histogram_of(right: Integer[np.ndarray, " n_episodes"], n_queries: int) -> list[int]:
    """Count the episodes by their number of right answers.

    Args:
      right: right answers of each episode.
      n_queries: queries of an episode, the most that can be right.

    Returns:
      `n_queries + 1` counts; place r holds the number of episodes with r right answers.
    """
    return np.bincount(right, minlength=n_queries + 1).tolist()


def accuracy_of(histogram: Sequence[int]) -> Accuracy:
    """Compute accuracy from a histogram in whole numbers, so that the result is exact but for one rounding.

    With c_r episodes of r right answers, N episodes and Q queries: mean = sum(c_r r) / (N Q), and
    std^2 = (N sum(c_r r^2) - sum(c_r r)^2) / (N Q)^2.

    Args:
      histogram: as `histogram_of` gives it; at least one episode and one query.

    Returns:
      the accuracy of the episodes.
    """
    episodes, queries = sum(histogram), len(histogram) - 1
    first = sum(count * right for right, count in enumerate(histogram))
    second = sum(count * right**2 for right, count in enumerate(histogram))
    std = math.sqrt(episodes * second - first**2) / (episodes * queries)
    return Accuracy(first / (episodes * queries), std, Z95 * std / math.sqrt(episodes))
