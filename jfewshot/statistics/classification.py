"""The metrics of mteb's classification tasks, from the counts of (true class, predicted class) of each experiment.

The definitions are scikit-learn's: a macro average is over the classes that are the true or the predicted class of some
query, and a precision or recall without a query counts as 0. Balanced accuracy is over the classes that have queries.
"""

from typing import Final

import numpy as np
from jaxtyping import Float

Counts = Float[np.ndarray, "experiments classes classes"]
Scores = Float[np.ndarray, " experiments"]
# mteb's names, with macro averages unless the name says weighted (by the number of queries of each class).
MTEB_SCORES: Final = (
    *("accuracy", "f1", "f1_weighted", "precision", "precision_weighted", "recall", "recall_weighted"),
    *("ap", "ap_weighted"),
)


def classification_scores(counts: Counts) -> dict[str, Scores]:
    """All metrics of each experiment.

    Args:
      counts: how many queries of each class (second axis) were assigned to each class (third axis).

    Returns:
      the scores by mteb's names, 0-1, and `balanced_accuracy`. Average precision, `ap`, is defined for two classes that
      both have queries, and is NaN otherwise; the second class counts as positive, and predictions as scores.
    """
    size, given = counts.sum(axis=2), counts.sum(axis=1)
    right = np.diagonal(counts, axis1=1, axis2=2)
    total = size.sum(axis=1)
    precision, recall = _share(right, given), _share(right, size)
    f1 = _share(2 * right, size + given)
    seen, has_queries = size + given > 0, size > 0
    found = {"accuracy": right.sum(axis=1) / total}
    for name, of_class in (("f1", f1), ("precision", precision), ("recall", recall)):
        found[name] = of_class.sum(axis=1) / seen.sum(axis=1)
        found[f"{name}_weighted"] = (of_class * size).sum(axis=1) / total
    found["ap"] = found["ap_weighted"] = _average_precision(counts)
    found["balanced_accuracy"] = recall.sum(axis=1) / has_queries.sum(axis=1)
    return found


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _average_precision(counts: Counts) -> Scores:
    """Average precision of hard labels, which give two thresholds: the sum over them of (recall - recall before) * precision."""
    if counts.shape[1] != 2:
        return np.full(len(counts), np.nan)
    size, right = counts.sum(axis=2), counts[:, 1, 1]
    recall, precision = _share(right, size[:, 1]), _share(right, counts[:, :, 1].sum(axis=1))
    everything = size[:, 1] / size.sum(axis=1)
    return np.where((size > 0).all(axis=1), recall * precision + (1 - recall) * everything, np.nan)
