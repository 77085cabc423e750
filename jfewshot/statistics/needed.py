"""The number of labels per class that an accuracy needs: from a curve over shots, and beyond its end from a fitted law."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.statistics.law import predict_curve

FARTHEST = 10  # an extrapolation goes up to so many times the last number of shots
_PLACES = 16  # grid points between the last number of shots and the farthest one
_EDGES = (0.05, 0.5, 0.95)


class Needed(NamedTuple):
    """Labels per class for a target accuracy.

    Attributes:
      target: accuracy 0-1.
      labels: the fewest labels at which the curve reaches the target; None if it does not.
      low: the same for the upper end of the curve's interval, which is the optimistic number; None if even the upper
          end does not reach the target.
      high: the same for the lower end, which is the pessimistic number; None for more than the curve's last point or,
          if extrapolated, for more than `FARTHEST` times as many.
      extrapolated: whether the labels lie beyond the curve's last point. The interval is then a 90% interval.
    """

    target: float
    labels: int | None
    low: int | None
    high: int | None
    extrapolated: bool = False


def labels_needed(
    shots: Sequence[int],
    mean: Float[np.ndarray, " n"],
    half_width: Float[np.ndarray, " n"],
    targets: Sequence[float] = (0.8, 0.9, 0.95),
) -> list[Needed]:
    """The fewest labels per class for each target, between the evaluated numbers of shots and never beyond the last.

    Between two numbers of shots, accuracy is assumed to be linear in the logarithm of the shots, and never to fall with
    more shots.

    Args:
      shots: evaluated numbers of support clips per class, ascending.
      mean: accuracy 0-1 at each.
      half_width: half-width of the interval of each; NaN if unknown.
      targets: accuracies 0-1.

    Returns:
      one answer for each target. If an interval is unknown, `low` and `high` are unknown too.
    """
    known = not np.isnan(half_width).any()
    # Use the running maximum of both edges, since more labels never lower the accuracy.
    middle = np.maximum.accumulate(mean)
    upper = np.maximum.accumulate(mean + half_width) if known else middle
    lower = np.maximum.accumulate(mean - half_width) if known else middle
    found = []
    for target in targets:
        crossed = [_crossing(shots, curve, target) for curve in (middle, upper, lower)]
        labels, low, high = crossed if known else (crossed[0], None, None)
        found.append(Needed(target, labels, low, high))
    return found


def labels_beyond(
    shots: Sequence[int],
    mean: Float[np.ndarray, " n"],
    error: Float[np.ndarray, " n"],
    targets: Sequence[float],
    shared_error: float = 0.0,
) -> list[Needed] | None:
    """The labels per class for targets that a curve does not reach, extrapolated by the law of `law.py`, with 90% intervals.

    Args:
      shots: evaluated numbers of support clips per class, ascending.
      mean: accuracy 0-1 at each.
      error: standard error of each from the limited number of episodes.
      targets: accuracies 0-1.
      shared_error: standard error of the last accuracy from the clips and classes, which all points share.

    Returns:
      one answer for each target, at least the last number of shots and at most `FARTHEST` times as many; None where the curve
      has too few points to extrapolate, or its highest accuracy is not among the last two points.
    """
    at = np.geomspace(shots[-1], FARTHEST * shots[-1], _PLACES)
    predicted = predict_curve(shots, mean, error, at.tolist(), shared_error)
    if predicted is None or mean.max() > mean[-2:].max():
        return None
    # As for the curve itself, more labels never lower the accuracy.
    lower, middle, upper = np.maximum.accumulate(predicted.quantiles(_EDGES), axis=0).T
    found = []
    for target in targets:
        labels, low, high = (_crossing(at.tolist(), curve, target) for curve in (middle, upper, lower))
        found.append(Needed(target, labels, low, high, extrapolated=True))
    return found


def _crossing(shots: Sequence[int] | Sequence[float], curve: Float[np.ndarray, " n"], target: float) -> int | None:
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return None
    at = int(reached[0])
    if at == 0:
        return math.ceil(shots[0] - 1e-9)
    low, high = math.log(shots[at - 1]), math.log(shots[at])
    share = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
    # Slightly less, so that a crossing at a whole number of labels gives that number in spite of rounding.
    return math.ceil(math.exp(low + share * (high - low)) - 1e-9)
