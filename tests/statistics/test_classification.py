"""mteb's metrics against scikit-learn's on random predictions, classes without queries or predictions among them."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from jfewshot.statistics.classification import MTEB_SCORES, classification_scores


def scikit_learns(true, given):
    found = {"accuracy": metrics.accuracy_score(true, given)}
    kinds = {"f1": metrics.f1_score, "precision": metrics.precision_score, "recall": metrics.recall_score}
    for name, score in kinds.items():
        found[name] = score(true, given, average="macro")
        found[f"{name}_weighted"] = score(true, given, average="weighted")
    found["balanced_accuracy"] = metrics.balanced_accuracy_score(true, given)
    both = len(np.unique(true)) == 2 and set(np.unique(given)) <= {0, 1}
    found["ap"] = found["ap_weighted"] = metrics.average_precision_score(true, given) if both else np.nan
    return found


@pytest.mark.parametrize(("n_classes", "n_queries"), [(2, 3), (2, 40), (5, 6), (5, 60)])
def test_scores_are_scikit_learns(n_classes, n_queries):
    rng = np.random.default_rng(n_queries)
    true, given = rng.integers(0, n_classes, (2, 20, n_queries))
    counts = np.zeros((20, n_classes, n_classes))
    for number in range(20):
        np.add.at(counts[number], (true[number], given[number]), 1)
    ours = classification_scores(counts)
    assert set(MTEB_SCORES) < set(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without predictions, which is the point
        theirs = [scikit_learns(*pair) for pair in zip(true, given, strict=True)]
    for name, values in ours.items():
        expected = [one[name] if n_classes == 2 or not name.startswith("ap") else np.nan for one in theirs]
        np.testing.assert_allclose(values, expected, rtol=1e-13, err_msg=name)
