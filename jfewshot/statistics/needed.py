"""How many labels per class does an accuracy need? Read off a curve over shots, and beyond its end by a law fitted to it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.statistics.law import predict_curve

FARTHEST = 10  # times the last number of shots: no farther does an extrapolation go
_PLACES = 16  # between the last number of shots and the farthest one
_EDGES = (0.05, 0.5, 0.95)


class Needed(NamedTuple):
    """Labels per class for a target accuracy.

    Attributes:
      target: accuracy 0-1.
      labels: the fewest labels at which the curve reaches the target; None where it does not.
      low: likewise of the upper edge of the curve's interval: with luck so few are enough; None where even that does not.
      high: likewise of the lower edge: with bad luck so many are needed; None for more than the curve's last point, or, where
        extrapolated, for more than `FARTHEST` times as many.
      extrapolated: whether the labels lie beyond the curve's last point. The interval is then a 90% one.
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
      error: standard error of each from having drawn only so many episodes.
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
    # As with the curve itself, more labels never make it worse.
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
    # A hair less, so that a crossing at a whole number of labels is that number.
    return math.ceil(math.exp(low + share * (high - low)) - 1e-9)
