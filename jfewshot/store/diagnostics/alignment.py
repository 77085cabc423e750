"""How well classes are separated: the silhouette, and the alignment of the Gram matrix with the labels."""

import numpy as np
from jaxtyping import Float, Int

from jfewshot.store.diagnostics.similarity import linear_cka

_ROWS_AT_ONCE = 4096


def class_sums(
    x: Float[np.ndarray, "n dim"], classes: Int[np.ndarray, " n"], n_classes: int
) -> Float[np.ndarray, "n_classes dim"]:
    """Sum of the embeddings of each class, in float64.

    Args:
      x: one row for each clip.
      classes: number of each clip's class.
      n_classes: number of classes.

    Returns:
      a row for each class; zero for a class without clips.
    """
    order = np.argsort(classes, kind="stable")
    sums = np.zeros((n_classes, x.shape[1]))
    found, starts = np.unique(classes[order], return_index=True)
    for number, start, stop in zip(found, starts, [*starts[1:], len(order)], strict=True):
        sums[number] = x[order[start:stop]].sum(axis=0, dtype=np.float64)
    return sums


def silhouette(x: Float[np.ndarray, "n dim"], classes: Int[np.ndarray, " n"]) -> float:
    """Mean silhouette of the clips by cosine distance (Rousseeuw, J. Comput. Appl. Math. 1987).

    (b - a) / max(a, b) for each clip, where a is the mean distance to the other clips of its class, and b the smallest
    mean distance to the clips of another class; 0 for a clip that is alone in its class. The mean distance of a unit
    vector to a class is 1 - x . mean of the class, so only n times the number of classes products are needed.

    Args:
      x: of unit length, one row for each clip.
      classes: number of each clip's class, 0 and up, each with a clip.

    Returns:
      the mean, -1 to 1; NaN for fewer than two classes.
    """
    sizes = np.bincount(classes)
    if len(sizes) < 2:
        return float("nan")
    sums = class_sums(x, classes, len(sizes))
    square = np.square(x, dtype=np.float64).sum(axis=1)
    total = 0.0
    for start in range(0, len(x), _ROWS_AT_ONCE):
        own = classes[start : start + _ROWS_AT_ONCE]
        rows = np.arange(len(own))
        to_class = sizes - x[start : start + _ROWS_AT_ONCE].astype(np.float64) @ sums.T  # sums of distances
        # A clip's distance to itself is 0, but 1 - |x|^2 is not exactly 0 because of rounding.
        itself = 1 - square[start : start + _ROWS_AT_ONCE]
        inside = (to_class[rows, own] - itself) / np.maximum(sizes[own] - 1, 1)
        outside = to_class / sizes
        outside[rows, own] = np.inf
        nearest = outside.min(axis=1)
        largest = np.maximum(inside, nearest)
        score = np.divide(nearest - inside, largest, out=np.zeros(len(own)), where=largest > 0)
        total += score[sizes[own] > 1].sum()
    return float(total / len(x))


def label_alignment(x: Float[np.ndarray, "n dim"], classes: Int[np.ndarray, " n"]) -> float:
    """Centred kernel-target alignment (Cortes, Mohri and Rostamizadeh, JMLR 2012, def. 4; Cristianini et al., NIPS 2001).

    This is the cosine between the centred Gram matrix of the embeddings and the centred matrix that is 1 for two clips
    of the same class. It equals the linear CKA of the embeddings with one-hot labels, and is computed in this way.

    Args:
      x: one row for each clip.
      classes: number of each clip's class, 0 and up.

    Returns:
      0 to 1; NaN if all embeddings or all labels are equal.
    """
    return linear_cka(x, np.eye(int(classes.max()) + 1, dtype=x.dtype)[classes])
