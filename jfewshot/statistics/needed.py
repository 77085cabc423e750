"""How many labels per class does an accuracy need? Read off a curve over shots, with the curve's own interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Needed(NamedTuple):
    """Labels per class for a target accuracy.

    Attributes:
      target: accuracy 0-1.
      labels: the fewest labels at which the curve reaches the target; None where it does not.
      low: likewise of the upper edge of the curve's interval: with luck so few are enough; None where even that does not.
      high: likewise of the lower edge: with bad luck so many are needed; None for more than the curve's last point.
    """

    target: float
    labels: int | None
    low: int | None
    high: int | None


def labels_needed(
    shots: Sequence[int],
    mean: Float[np.ndarray, " n"],
    half_width: Float[np.ndarray, " n"],
    targets: Sequence[float] = (0.8, 0.9, 0.95),
) -> list[Needed]:
    """The fewest labels per class for each target, between the evaluated numbers of shots and never beyond the last.

    Accuracy is taken to be linear in the logarithm of the shots between two of them, and never to fall with more shots.

    Args:
      shots: evaluated numbers of support clips per class, ascending.
      mean: accuracy 0-1 at each.
      half_width: of its interval; NaN where unknown.
      targets: accuracies 0-1.

    Returns:
      one answer for each target. Where an interval is unknown, so are `low` and `high`.
    """
    known = not np.isnan(half_width).any()
    # The highest lower edge so far, and so on: more labels never make it worse.
    middle = np.maximum.accumulate(mean)
    upper = np.maximum.accumulate(mean + half_width) if known else middle
    lower = np.maximum.accumulate(mean - half_width) if known else middle
    found = []
    for target in targets:
        crossed = [_crossing(shots, curve, target) for curve in (middle, upper, lower)]
        labels, low, high = crossed if known else (crossed[0], None, None)
        found.append(Needed(target, labels, low, high))
    return found


def _crossing(shots: Sequence[int], curve: Float[np.ndarray, " n"], target: float) -> int | None:
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return None
    at = int(reached[0])
    if at == 0:
        return int(shots[0])
    low, high = math.log(shots[at - 1]), math.log(shots[at])
    share = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
    # A hair less, so that a crossing at a whole number of labels is that number.
    return math.ceil(math.exp(low + share * (high - low)) - 1e-9)
