import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import (
    average_ranks,
    bootstrap_over_datasets,
    indistinguishable_groups,
    rank_test,
    rank_within_columns,
)

ACCURACY = np.array([[0.9, 0.8, 0.70001], [0.7, 0.8, 0.7], [0.5, 0.1, 0.9]])


def test_ties_share_a_rank():
    np.testing.assert_allclose(rank_within_columns(ACCURACY), [[1, 1.5, 2.5], [2, 1.5, 2.5], [3, 3, 1]])
    np.testing.assert_allclose(rank_within_columns(ACCURACY, "min"), [[1, 1, 2], [2, 1, 2], [3, 3, 1]])
    np.testing.assert_allclose(average_ranks(ACCURACY), [5 / 3, 2, 7 / 3])


@pytest.mark.parametrize("method", ["average", "min"])
@pytest.mark.parametrize("n_upstreams", [1, 2, 9])
def test_ranks_are_scipys_also_with_many_ties_and_missing_accuracies(method, n_upstreams):
    rng = np.random.default_rng(n_upstreams)
    # One decimal makes ties; digits beyond the fourth are no difference.
    accuracy = np.round(rng.random((n_upstreams, 200)), 1) + rng.choice([0, 1e-6], size=(n_upstreams, 200))
    accuracy[0, ::7] = np.nan
    expected = stats.rankdata(-np.round(accuracy, 4), method=method, axis=0)
    np.testing.assert_array_equal(rank_within_columns(accuracy, method), expected)


# Two-tailed Nemenyi critical values at 5%, k = 2 ... 10 (Demšar 2006, Table 5a).
NEMENYI = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize("k", NEMENYI)
def test_the_critical_difference_is_demsars(k):
    accuracy = np.random.default_rng(k).random((k, 14))
    expected = NEMENYI[k] * np.sqrt(k * (k + 1) / (6 * 14))
    assert rank_test(accuracy).critical_difference == pytest.approx(expected, rel=5e-4)


def test_friedman_is_scipys_and_two_are_a_sign_test():
    accuracy = np.random.default_rng(0).random((4, 9))
    assert rank_test(accuracy).p_value == pytest.approx(stats.friedmanchisquare(*np.round(accuracy, 4)).pvalue)
    two = np.array([[0.9, 0.8, 0.7, 0.6, 0.5], [0.1, 0.1, 0.1, 0.1, 0.5]])  # 4 wins, 1 tie
    assert rank_test(two).p_value == pytest.approx(2 * 0.5**4)
    assert rank_test(two[::-1]).p_value == pytest.approx(2 * 0.5**4)
    assert rank_test(np.full((3, 4), 0.5)).p_value == 1.0
    assert rank_test(accuracy[:1]).critical_difference is None
    assert rank_test(accuracy[:, :1]).p_value is None


def test_groups_are_the_largest_runs_within_the_critical_difference():
    ranks = np.array([1.0, 4.0, 1.8, 2.6, 6.0])
    assert indistinguishable_groups(ranks, 1.0) == [(0, 2), (2, 3)]
    assert indistinguishable_groups(ranks, 10.0) == [(0, 2, 3, 1, 4)]
    assert indistinguishable_groups(ranks, 0.1) == []


def test_the_bootstrap_over_datasets_is_scipys():
    accuracy = np.random.default_rng(1).random((2, 12))
    found = bootstrap_over_datasets(accuracy, n_draws=20000)
    theirs = stats.bootstrap((accuracy[0],), np.mean, method="percentile", n_resamples=20000, rng=0).confidence_interval
    np.testing.assert_allclose(found.accuracy[0], [theirs.low, theirs.high], atol=0.01)
    assert (found.rank >= 1).all()
    assert (found.rank <= 2).all()
    assert bootstrap_over_datasets(accuracy[:, :4]) is None


def test_friedman_takes_accuracies_that_read_the_same_for_the_same():
    rng = np.random.default_rng(3)
    accuracy = np.round(rng.random((4, 9)), 1)
    noisy = accuracy + rng.uniform(-4e-5, 4e-5, accuracy.shape)
    expected = stats.friedmanchisquare(*accuracy).pvalue
    assert stats.friedmanchisquare(*noisy).pvalue != pytest.approx(expected, rel=1e-3)
    assert rank_test(noisy).p_value == pytest.approx(expected, rel=1e-12)
    # 50.00496 and 49.999 read 50.00; of 101 instead of 100 they would be 50.51 and 50.50.
    near = np.array([[0.5000496, 0.7, 0.2], [0.49999, 0.6, 0.3], [0.1, 0.8, 0.4]])
    assert rank_test(near).p_value == pytest.approx(stats.friedmanchisquare(*np.round(near, 4)).pvalue)
    assert average_ranks(near[:, :1]).tolist() == [1.5, 1.5, 3.0]
