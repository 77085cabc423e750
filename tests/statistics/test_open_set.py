"""Known against unknown queries: scikit-learn's ROC curves, and the first-order effect of a query against taking it out."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from jfewshot.statistics.open_set import false_positives, separations

E, K, U = 12, 40, 25


@pytest.fixture(scope="module", params=["different", "with equals"])
def both(request):
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(1, 1, (E, K)), rng.normal(0, 1, (E, U))
    return (known, unknown) if request.param == "different" else (known.round(), unknown.round())


def as_labels(known, unknown):
    return np.repeat([1, 0], [len(known), len(unknown)]), np.concatenate([known, unknown])


def test_areas_are_scikit_learns(both):
    expected = [roc_auc_score(*as_labels(*one)) for one in zip(*both, strict=True)]
    np.testing.assert_allclose(separations(*both).mean(1), expected)


@pytest.mark.parametrize("recall", [0.95, 0.8])
def test_false_positives_are_scikit_learns_at_the_first_threshold_with_the_recall(both, recall):
    expected = []
    for one in zip(*both, strict=True):
        false, true, _ = roc_curve(*as_labels(*one), drop_intermediate=False)
        expected.append(false[np.argmax(true >= recall - 1e-9)])
    np.testing.assert_allclose(false_positives(*both, recall=recall), expected)


def test_values_are_the_effect_of_taking_a_query_out(both):
    known, unknown = (part[:1] for part in both)
    values = separations(known, unknown)[0]
    area = values.mean()
    for j in range(K):
        without = separations(np.delete(known, j, 1), unknown).mean()
        np.testing.assert_allclose((K - 1) * (area - without), (values[j] - area) * K / (K + U), atol=1e-12)
    for j in range(U):
        without = separations(known, np.delete(unknown, j, 1)).mean()
        np.testing.assert_allclose((U - 1) * (area - without), (values[K + j] - area) * U / (K + U), atol=1e-12)
