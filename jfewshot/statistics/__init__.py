"""Intervals, paired comparisons, ranks, correlations: pure functions of arrays, NumPy and SciPy only.

| file | question |
|---|---|
| `pool` | how much would accuracy move on other clips, or other classes? |
| `intervals` | how sure is a mean accuracy? |
"""

from jfewshot.statistics.intervals import (
    AccuracyInterval,
    correct_from_predicted,
    episode_interval,
    pool_half_widths,
    pool_interval,
)
from jfewshot.statistics.pool import Pool, PoolCovariance, make_pool, pool_covariance

__all__ = [
    "AccuracyInterval",
    "Pool",
    "PoolCovariance",
    "correct_from_predicted",
    "episode_interval",
    "make_pool",
    "pool_covariance",
    "pool_half_widths",
    "pool_interval",
]
