"""Rank agreement against scipy, and how often its intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import rank_agreement


def test_coefficients_are_scipys_and_the_last_is_their_mean():
    rng = np.random.default_rng(0)
    few, many = rng.random((9, 3)), rng.random((9, 3))
    few[2:4, 1] = few[2, 1]  # a tie
    found = rank_agreement(few, many)
    theirs = [stats.spearmanr(few[:, column], many[:, column]).statistic for column in range(3)]
    np.testing.assert_allclose(found.coefficient, [*theirs, np.mean(theirs)], atol=1e-12)
    assert found.n_systems == 9
    assert (found.low < found.coefficient).all()
    assert (found.coefficient < found.high).all()


def test_what_reads_the_same_in_a_table_ties():
    few, many = np.array([[0.50001], [0.50002], [0.7], [0.8], [0.9]]), np.array([[0.2], [0.1], [0.3], [0.4], [0.5]])
    theirs = stats.spearmanr([1.5, 1.5, 3, 4, 5], [2, 1, 3, 4, 5]).statistic
    assert rank_agreement(few, many).coefficient[0] == pytest.approx(theirs)


def test_equal_rankings_leave_a_doubt_that_shrinks_with_more_systems():
    lows = []
    for n in (5, 8, 30):
        accuracy = np.linspace(0.2, 0.9, n)[:, None]
        found = rank_agreement(accuracy, accuracy**2)
        assert found.coefficient.tolist() == pytest.approx([1.0, 1.0])
        assert found.high[0] == pytest.approx(1.0)
        lows.append(found.low[0])
    assert 0.1 < lows[0] < lows[1] < lows[2] < 0.9999


def test_too_few_systems_have_no_interval_and_two_no_coefficient():
    accuracy = np.linspace(0.2, 0.9, 4)[:, None]
    four, two = rank_agreement(accuracy, accuracy), rank_agreement(accuracy[:2], accuracy[:2])
    assert four.coefficient[0] == pytest.approx(1)
    assert np.isnan(four.low).all()
    assert np.isnan(two.coefficient).all()
    constant = rank_agreement(np.full((6, 1), 0.5), np.linspace(0.1, 0.6, 6)[:, None])
    assert np.isnan(constant.coefficient).all()


@pytest.mark.parametrize(("n_systems", "true"), [(5, 0.95), (8, 0.8), (13, 0.99)])
def test_the_interval_holds_the_truth_of_one_dataset_and_of_three(n_systems, true):
    """The population's coefficient is 6 / pi * arcsin(r / 2) for normal values with correlation r. Neither the bootstrap
    (66% with 5 systems) nor z (82% with 13 systems at 0.99) holds it often enough alone."""
    rng = np.random.default_rng(1)
    hits, samples = np.zeros(4), 120
    spearman = 6 / np.pi * np.arcsin(true / 2)
    for _ in range(samples):
        few = rng.standard_normal((n_systems, 3))
        many = true * few + np.sqrt(1 - true**2) * rng.standard_normal(few.shape)
        found = rank_agreement(few, many, n_bootstrap=300)
        hits += (found.low <= spearman) & (spearman <= found.high)
    assert (hits / samples > 0.86).all(), hits / samples
