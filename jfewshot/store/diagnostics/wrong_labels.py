"""Find clips whose label looks wrong: classifiers trained on all other clips agree on another class for all good encoders."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jfewshot.store.diagnostics.alignment import class_sums
from jfewshot.store.diagnostics.spectrum import Principal

# docs/diagnostics.md describes how these thresholds were chosen, and what they find.
MARGIN = 0.4
LEAST_ACCURACY = 0.6
_ERRORS_AT_MOST = 1.5  # times the errors of the best encoder
_CLASS_RIGHT = 0.5
_STRENGTHS = np.logspace(-3, 3, 7)  # times the mean square of an embedding
_ROWS_AT_ONCE = 4096


class LeftOut(NamedTuple):
    """The results of classifying each clip by a classifier that was trained on all other clips.

    Attributes:
      other: the class with the highest score, except the clip's own class.
      margin: the score of that class minus the score of the clip's own class.
      accuracy: share of the clips whose own class has the highest score.
    """

    other: Int[np.ndarray, " n"]
    margin: Float[np.ndarray, " n"]
    accuracy: float


class Suspects(NamedTuple):
    """Clips whose label looks wrong, the clearest first.

    Attributes:
      clips: indices.
      given_to: number of the class to which the encoders assign each clip.
      margin: mean over the encoders of the margin, in units of one-hot targets: 0 is undecided, 1 is certain.
      encoders: the encoders that were good enough to judge labels.
    """

    clips: Int[np.ndarray, " suspects"]
    given_to: Int[np.ndarray, " suspects"]
    margin: Float[np.ndarray, " suspects"]
    encoders: tuple[int, ...]


def leave_one_out(axes: Principal, classes: Int[np.ndarray, " n"]) -> LeftOut:
    """Classify each clip by ridge regression of one-hot labels on all other clips.

    With the principal coordinates U and sums of squares w of the embeddings, the fit is F = U diag(w / (w + a)) U'Y + mean of
    Y, and the leverage h_i = 1/n + sum_k U_ik^2 w_k / (w_k + a). The residual of clip i without clip i is (y_i - F_i) divided
    by 1 - h_i (PRESS: Allen, Technometrics 1974). The strength a is the one of 7 values with the smallest sum of squares of
    these residuals. Takes 7 n classes dim multiplications.

    Args:
      axes: the principal directions of the embeddings.
      classes: number of each clip's class, 0 and up, each with at least two clips.

    Returns:
      the other class, its margin, and the accuracy.
    """
    coordinates = axes.coordinates
    n = len(coordinates)
    squares = n * axes.variances[: coordinates.shape[1]]
    n_classes = int(classes.max()) + 1
    shares = np.bincount(classes, minlength=n_classes) / n
    # U'Y; the mean of Y drops out, because the coordinates are centred.
    targets = class_sums(coordinates, classes, n_classes).T
    strengths = _STRENGTHS * squares.sum() / n
    kept = squares[:, None] / (squares[:, None] + strengths)
    errors = np.zeros(len(strengths))
    for start in range(0, n, _ROWS_AT_ONCE):
        u, own = coordinates[start : start + _ROWS_AT_ONCE], classes[start : start + _ROWS_AT_ONCE]
        for number in range(len(strengths)):
            errors[number] += np.square(_residuals(u, own, targets, shares, kept[:, number], n)).sum()
    best = kept[:, int(errors.argmin())]
    other, margin, right = np.empty(n, np.int64), np.empty(n), 0
    for start in range(0, n, _ROWS_AT_ONCE):
        u, own = coordinates[start : start + _ROWS_AT_ONCE], classes[start : start + _ROWS_AT_ONCE]
        rows = np.arange(len(own))
        scores = -_residuals(u, own, targets, shares, best, n)
        scores[rows, own] += 1  # the prediction is the target minus the residual
        mine = scores[rows, own].copy()
        scores[rows, own] = -np.inf
        other[start + rows] = scores.argmax(axis=1)
        margin[start + rows] = scores.max(axis=1) - mine
        right += int((margin[start + rows] < 0).sum())
    return LeftOut(other, margin, right / n)


def find_suspects(found: Sequence[LeftOut], classes: Int[np.ndarray, " n"]) -> Suspects:
    """Find the clips that all good encoders assign to the same other class.

    An encoder is good if its accuracy is 60% or more, and if it makes at most 1.5 times the errors of the best. A clip
    is reported if all good encoders assign it to the same other class by a mean margin of 0.4 or more, and if they
    recognise at least half of the clips with its label. This follows confident learning (Northcutt et al., JAIR 2021):
    labels are compared with predictions of classifiers that were not trained on them. If several clips of one recording
    share a wrong label, each hides the error of the others.

    Args:
      found: from `leave_one_out`, for each encoder.
      classes: number of each clip's class.

    Returns:
      the suspects, and the good encoders.
    """
    nothing = np.zeros(0, np.int64)
    most = max((one.accuracy for one in found), default=0.0)
    good = tuple(
        number
        for number, one in enumerate(found)
        if one.accuracy >= LEAST_ACCURACY and 1 - one.accuracy <= _ERRORS_AT_MOST * (1 - most) + 1e-9
    )
    if not good:
        return Suspects(nothing, nothing, np.zeros(0), ())
    asked = [found[number] for number in good]
    agreed = np.logical_and.reduce([(one.other == asked[0].other) & (one.margin > 0) for one in asked])
    margin = np.mean([one.margin for one in asked], axis=0)
    sizes = np.bincount(classes)
    right = np.mean([np.bincount(classes, one.margin < 0, len(sizes)) for one in asked], axis=0)
    known = right >= _CLASS_RIGHT * sizes
    clips = np.flatnonzero(agreed & (margin >= MARGIN) & known[classes])
    clips = clips[np.argsort(-margin[clips], kind="stable")]
    return Suspects(clips, asked[0].other[clips], margin[clips], good)


def usable_labels(classes: Int[np.ndarray, " n"], labelled: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which clips have a label that at least one other clip shares.

    Args:
      classes: number of each clip's class.
      labelled: which clips have a class.
    """
    return labelled & (np.bincount(classes[labelled], minlength=int(classes.max()) + 1)[classes] > 1)


def _residuals(
    u: np.ndarray, own: np.ndarray, targets: np.ndarray, shares: np.ndarray, kept: np.ndarray, n: int
) -> np.ndarray:
    """Targets minus predictions of some clips, each predicted by a model that was trained without it."""
    fit = u @ (kept[:, None] * targets).astype(u.dtype) + shares.astype(u.dtype)
    leverage = np.square(u) @ kept.astype(u.dtype) + 1 / n
    residuals = -fit.astype(np.float64)
    residuals[np.arange(len(own)), own] += 1
    return residuals / np.maximum(1 - leverage, 1e-6)[:, None].astype(np.float64)
