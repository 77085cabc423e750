"""Averages over domains and their jackknife, worked out by hand and by simulation."""

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics.domains import shift_over_domains


def test_means_and_differences_are_those_of_the_pairs_and_the_interval_is_the_jackknifes():
    nan = np.nan
    same = np.diag([0.9, 0.8, 1.0]) + np.where(np.eye(3) > 0, 0, nan)
    other = np.array([[nan, 0.5, 0.3], [0.6, nan, 0.2], [0.4, nan, nan]])
    found = shift_over_domains(np.stack([same, other]))
    # The mean over queries' domains of the mean over supports' domains: 0.4, 0.4 and 0.4.
    np.testing.assert_allclose(found.mean, [0.9, 0.4])
    np.testing.assert_allclose(found.difference, [0, -0.5])
    # Without each domain, as queries and as supports.
    without = np.array([[0.9, 0.2], [0.95, (0.3 + 0.4) / 2], [0.85, (0.5 + 0.6) / 2]])
    without[0] = [0.9, 0.2]  # the third domain has no other supports left, and does not count
    t = stats.t.ppf(0.975, 2)
    for condition in range(2):
        spread = ((without[:, condition] - without[:, condition].mean()) ** 2).sum()
        assert found.half_width[condition] == pytest.approx(t * np.sqrt(2 / 3 * spread))
    change = without[:, 1] - without[:, 0]
    expected = t * np.sqrt(2 / 3 * ((change - change.mean()) ** 2).sum())
    assert found.difference_half_width[1] == pytest.approx(expected)
    assert found.difference_half_width[0] == 0


def test_two_domains_say_nothing_of_others():
    found = shift_over_domains(np.full((2, 2, 2), 0.5))
    assert found.half_width is None
    assert found.difference_half_width is None


def test_the_intervals_hold_the_mean_over_all_domains():
    rng = np.random.default_rng(0)
    n, hits = 6, np.zeros(2)
    for _ in range(1000):
        of_query, of_support = rng.normal(0, 0.05, (2, n))
        pair = rng.normal(0, 0.03, (n, n))
        same = np.where(np.eye(n) > 0, 0.9 + of_query[:, None], np.nan)
        other = np.where(np.eye(n) > 0, np.nan, 0.5 + of_query[:, None] + of_support[None] + pair)
        found = shift_over_domains(np.stack([same, other]))
        hits += [
            abs(found.mean[1] - 0.5) <= found.half_width[1],
            abs(found.difference[1] + 0.4) <= found.difference_half_width[1],
        ]
    assert (hits / 1000 >= 0.93).all(), hits
    assert (hits / 1000 <= 0.99).all(), hits
