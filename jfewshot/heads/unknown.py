"""A threshold below which a clip is assigned to no class, tested with each class in turn as the unknown one.

The confidence of a decision is its margin, the highest score minus the second highest. The threshold is the margin that
a chosen share of the labelled clips reaches when they are left out. For a head that was fitted without a class, that
class's clips are unknown sounds. Their margins are not used for choosing the threshold, so the shares below are not
optimistic for sounds that are as close to the classes as the classes are to each other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jfewshot.heads.exact import scores_without
from jfewshot.heads.head import margins

# With two classes none can be left out, since a single class would remain.
_FEWEST_CLASSES, _MOST_CLASSES = 3, 30
_WORK = 5e10  # n^3 of all fits together: about half a minute on a core


class Unknown(NamedTuple):
    """A threshold, and what it does.

    Attributes:
      threshold: clips with a smaller margin are called unknown.
      kept: share of the known clips that are not called unknown.
      n_classes: how many classes were left out in turn; 0 where none could be.
      recall: share of the clips of unknown classes that are called unknown, each class counting once; NaN without any.
      precision: share of the clips that are called unknown which are of an unknown class, where as many clips are known as
        unknown; NaN likewise, and where no clip at all is called unknown.
    """

    threshold: float
    kept: float
    n_classes: int
    recall: float
    precision: float


def find_threshold(
    gram: Float[np.ndarray, "n n"],
    labels: Int[np.ndarray, " n"],
    known: Float[np.ndarray, " n"],
    kind: tuple[str, Any, float | None],
    keep: float = 0.9,
    on_class: Callable[[int], None] = lambda done: None,
) -> Unknown:
    """Choose the threshold, and estimate how many unknown sounds it finds.

    Args:
      gram: inner products of the clips, measured from one origin, float64.
      labels: class number of each clip.
      known: margin of each clip when it was left out.
      kind: name of the classifier, its settings, and its strength.
      keep: share of the known clips that shall not be called unknown.
      on_class: called with 1 after each class.

    Returns:
      the threshold with its precision and recall.
    """
    n_classes = int(labels.max()) + 1
    known = np.where(np.isfinite(known), known, 0.0)
    # One of the margins themselves, so that ties fall on the side of the known.
    threshold = float(np.quantile(known, 1 - keep, method="lower"))
    kept = float((known >= threshold).mean())
    if n_classes < _FEWEST_CLASSES:
        return Unknown(threshold, kept, 0, np.nan, np.nan)
    found = []
    for number in classes_left_out(n_classes, len(labels)):
        left = np.flatnonzero(labels == number)
        margin = margins(scores_without(gram, np.where(labels > number, labels - 1, labels), left, kind))
        found.append((margin < threshold).mean())
        on_class(1)
    recall = float(np.mean(found))
    # 1 - kept first: where everything is kept, recall + 1 - 1 would round to less than the recall, and the precision to above 1.
    called = recall + (1 - kept)
    precision = min(recall / called, 1.0) if called > 0 else float("nan")
    return Unknown(threshold, kept, len(found), recall, precision)


def classes_left_out(n_classes: int, n_clips: int) -> Int[np.ndarray, " chosen"]:
    """Which classes are left out in turn: all, or some of many, since each costs a fit on nearly all clips.

    Args:
      n_classes: how many classes there are.
      n_clips: how many labelled clips.
    """
    if n_classes < _FEWEST_CLASSES:
        return np.zeros(0, np.int64)
    most = int(np.clip(_WORK / n_clips**3, 5, _MOST_CLASSES))
    return np.sort(np.random.default_rng(0).permutation(n_classes)[:most])
