"""Risk beside coverage, query by query in float64, and the first-order effect of a query against taking it out."""

import itertools

import numpy as np
import pytest

from jfewshot.statistics.abstention import risk_areas, risk_curve


def one_by_one(confidence, correct):
    """Risks at each coverage, averaged over all orders of queries of equal confidence."""
    n = len(confidence)
    orders = [
        order
        for order in itertools.permutations(range(n))
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean([[1 - np.mean([correct[j] for j in order[:i]]) for i in range(1, n + 1)] for order in orders], 0)


def test_risks_are_those_of_the_definition_also_where_confidences_are_equal():
    rng = np.random.default_rng(0)
    confidence = rng.integers(0, 4, (8, 6)).astype(float)
    correct = rng.random((8, 6)) < 0.6
    expected = np.array([one_by_one(*one) for one in zip(confidence, correct, strict=True)])
    np.testing.assert_allclose(risk_curve(confidence, correct), expected)
    np.testing.assert_allclose(risk_areas(confidence, correct).mean(1), expected.mean(1))


def test_perfect_and_opposite_orders():
    correct = np.array([[True, True, True, False]])
    # By hand: the only error is answered last, and (1/1 + 1/2 + 1/3 + 1/4) / 4 where it is answered first.
    assert risk_areas(np.array([[4.0, 3.0, 2.0, 1.0]]), correct).mean() == pytest.approx(1 / 16)
    assert risk_areas(np.array([[2.0, 3.0, 4.0, 5.0]]), correct).mean() == pytest.approx(25 / 48)


def test_values_are_the_effect_of_taking_a_query_out():
    rng = np.random.default_rng(1)
    n = 150
    confidence = rng.random((1, n))
    correct = rng.random((1, n)) < 0.5 + confidence / 2
    values = risk_areas(confidence, correct)[0]
    area = values.mean()
    without = np.array([risk_areas(np.delete(confidence, j, 1), np.delete(correct, j, 1)).mean() for j in range(n)])
    effect = (n - 1) * (area - without)  # of the jackknife, which is v - area to first order
    assert np.corrcoef(effect, values - area)[0, 1] > 0.995
    assert effect.std() == pytest.approx(values.std(), rel=0.1)
