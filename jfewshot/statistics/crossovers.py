"""Find where two systems change their order along a curve, and test whether the change is significant.

System a is better than b at some points of the curve and worse at others. The change is significant if two differences
are: the one at a point where a is better, and the one at a later point where b is better. Each difference has a
two-sided p-value from `paired`. Holm's correction over all pairs and all points keeps the probability of any wrong sign
below 5%, so the probability of any wrongly reported change of order is below 5% too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jfewshot.statistics.multiple import holm
from jfewshot.statistics.paired import Differences


class Crossover(NamedTuple):
    """Two systems that change their order.

    Attributes:
      first: the system that leads earlier on the curve.
      second: the system that leads later on the curve.
      between: the two neighbouring points between which the lead changes.
      surest: the point at which `first` leads and the later point at which `second` leads, chosen such that both leads
          are most significant.
      p_holm: the larger of the two adjusted p-values there.
    """

    first: int
    second: int
    between: tuple[int, int]
    surest: tuple[int, int]
    p_holm: float


def crossovers(points: Sequence[Differences]) -> list[Crossover]:
    """Every pair of systems whose difference changes its sign along a curve, the most significant change first.

    Args:
      points: differences between the same systems, in the same order, at each point of the curve.

    Returns:
      one entry for each pair that changes its order in either direction; the most significant change, if a pair has
      several.
    """
    if len(points) < 2:
        return []
    n_systems = len(points[0].difference)
    above = np.triu_indices(n_systems, k=1)
    difference = np.stack([one.difference[above] for one in points])  # points x pairs
    adjusted = holm(np.stack([one.p_value[above] for one in points]))
    found = []
    for pair, (a, b) in enumerate(zip(*(index.tolist() for index in above), strict=True)):
        best = _surest(difference[:, pair], adjusted[:, pair])
        if best is not None:
            early, late, p_value = best
            ahead, behind = (a, b) if difference[early, pair] > 0 else (b, a)
            sign = np.sign(difference[early, pair])
            last = max(m for m in range(early, late) if difference[m, pair] * sign > 0)
            after = next(m for m in range(last + 1, late + 1) if difference[m, pair] * sign < 0)
            found.append(Crossover(ahead, behind, (last, after), (early, late), p_value))
    return sorted(found, key=lambda one: one.p_holm)


def _surest(difference: np.ndarray, p_value: np.ndarray) -> tuple[int, int, float] | None:
    """An earlier and a later point of opposite signs; of several, the two whose larger p-value is smallest."""
    best: tuple[float, int, int] | None = None
    for early in range(len(difference)):
        for late in range(early + 1, len(difference)):
            if difference[early] * difference[late] < 0:
                p = float(np.fmax(p_value[early], p_value[late]))
                if best is None or p < best[0]:
                    best = (p, early, late)
    return None if best is None else (best[1], best[2], best[0])
