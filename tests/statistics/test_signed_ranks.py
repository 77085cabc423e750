"""Wilcoxon's signed-rank test is SciPy's where SciPy's is exact, and exact where equal differences make SciPy approximate."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import fewest_differences, signed_rank_p


@pytest.mark.parametrize("n", [1, 2, 5, 6, 13, 14, 32, 50])
@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_without_equal_sizes_it_is_scipys_exact_test(n, shift):
    differences = np.random.default_rng(n).normal(shift, 1.0, n)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [51, 200])
def test_many_differences_have_scipys_approximation_with_equal_sizes_and_zeros(n):
    differences = np.round(np.random.default_rng(n).normal(0.2, 1.0, n), 1)
    assert (differences == 0).any()
    expected = stats.wilcoxon(np.round(differences, 12), method="asymptotic").pvalue
    own = differences[differences != 0]
    if len(own) > 50:
        assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)
    else:
        assert signed_rank_p(differences) == pytest.approx(expected, rel=0.05)


def test_equal_sizes_are_counted_over_all_patterns_of_signs():
    differences = np.array([0.1, 0.1, -0.1, 0.3, 0.3, -0.2, 0.0, 0.5])
    left = differences[differences != 0]
    ranks = stats.rankdata(np.abs(left))
    sums = np.array([ranks[np.array(signs) > 0].sum() for signs in itertools.product((1, -1), repeat=len(left))])
    observed = ranks[left > 0].sum()
    expected = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-12)


def test_differences_that_are_equal_up_to_rounding_share_a_rank():
    # In binary, 0.3 - 0.2 and 0.2 - 0.1 are not equal.
    assert signed_rank_p(np.array([0.3 - 0.2, 0.1 - 0.2])) == 1.0


def test_no_difference_at_all_gives_one():
    assert signed_rank_p(np.zeros(7)) == 1.0


@pytest.mark.parametrize(("n_tests", "needed"), [(1, 6), (3, 7), (10, 9)])
def test_with_fewer_differences_the_best_p_value_is_not_significant(n_tests, needed):
    assert fewest_differences(n_tests) == needed
    sizes = 1.0 + np.arange(needed)
    assert n_tests * signed_rank_p(sizes) < 0.05
    assert n_tests * signed_rank_p(sizes[1:]) >= 0.05
