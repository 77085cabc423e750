"""Scores of each clip by the head that was fitted without the clip, or without all clips of its group.

Ridge regression needs no new fits. With G = (K + alpha I)^-1 and the free intercept eliminated from it,

    S = G - G 1 1^T G / 1^T G 1,

the clips of group g miss their labels by y_g - f_g = (S_gg)^-1 (S y)_g when they are left out together: the formula of Golub,
Heath and Wahba (1979) for blocks.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jfewshot.heads.exact import Descent, closeness, ridge_inverse, scores_without
from jfewshot.heads.head import neighbour_scores

# Largest number of new fits; if there are more groups, several are left out together.
MOST_FITS = 200


def left_out_scores(
    gram: Float[np.ndarray, "n n"],
    labels: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    kind: tuple[str, Any, float | None],
) -> Float[np.ndarray, "n classes"]:
    """Score each clip by the head that is fitted without the clip's group, at the same strength.

    Every class needs clips in two groups at least.

    Args:
      gram: inner products of the clips, measured from one origin, float64.
      labels: class number of each clip.
      groups: group number of each clip; all different for leaving out one clip at a time.
      kind: name of the classifier, its settings, and its strength.

    Returns:
      one score per clip and class.
    """
    name, settings, strength = kind
    n_classes = int(labels.max()) + 1
    _, group = np.unique(groups, return_inverse=True)
    if name == "ridge":
        assert strength is not None
        return _ridge(gram, 2 * np.eye(n_classes)[labels] - 1, strength, group)
    if name == "knn":
        near = closeness(gram, np.diag(gram), settings)
        near = np.where(group[:, None] == group, -np.inf, near)
        return neighbour_scores(near, labels, n_classes, settings["k"])
    descent = Descent(gram, labels, n_classes, name, strength) if name in ("logistic", "svm") and strength else None
    scores = np.empty((len(labels), n_classes))
    for left in folds(group, MOST_FITS):
        scores[left] = descent.scores_without(left) if descent else scores_without(gram, labels, left, kind)
    return scores


def folds(group: Int[np.ndarray, " n"], most: int) -> list[Int[np.ndarray, " left"]]:
    """Clips to leave out together: one group at a time, or several where there are more groups than `most`.

    Args:
      group: group number of each clip, from 0 without gaps.
      most: how many folds there may be.
    """
    n_groups = int(group.max()) + 1
    place = np.random.default_rng(0).permutation(n_groups) % most
    return [found for fold in range(min(most, n_groups)) if len(found := np.flatnonzero(place[group] == fold))]


def _ridge(gram, target, alpha, group):
    _, centred = ridge_inverse(gram, alpha)
    missed = centred @ target
    order = np.argsort(group, kind="stable")
    scores = np.empty_like(missed)
    for clips in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        block = centred[np.ix_(clips, clips)]
        scores[clips] = target[clips] - np.linalg.solve(block, missed[clips])
    return scores
