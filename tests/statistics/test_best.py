import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import best_probability, labels_needed
from jfewshot.statistics.pool import PoolCovariance


def covariance_of(mean, classes, n_classes=10):
    zero = np.zeros_like(classes)
    return PoolCovariance(np.asarray(mean), zero, zero, classes, n_classes)


def test_probabilities_are_right_as_often_as_they_say():
    rng = np.random.default_rng(1)
    claimed, right = [], []
    for _ in range(1300):
        n_systems, n_classes = int(rng.integers(2, 9)), int(rng.integers(8, 30))
        spread = rng.choice([0.005, 0.02, 0.05, 0.1])  # encoders that hardly differ, and encoders that do
        true = 0.6 + spread * rng.standard_normal(n_systems)
        # The means' errors come from classes, and the covariance is estimated from the same classes.
        root = 0.06 * (np.eye(n_systems) + 0.6)
        values = true + rng.standard_normal((n_classes, n_systems)) @ root
        found = best_probability(
            [covariance_of(values.mean(axis=0), np.cov(values.T) / n_classes, n_classes)], n_draws=800
        )
        claimed.append(found.max())
        right.append(found.argmax() == true.argmax())
    claimed, right = np.array(claimed), np.array(right)
    sure = (claimed >= 0.8) & (claimed <= 0.95)
    assert sure.sum() > 200
    assert abs(right[sure].mean() - claimed[sure].mean()) < 0.05
    assert right[claimed > 0.95].mean() > 0.95


def test_two_systems_against_the_integral():
    # One contrast with a known error: the posterior by quadrature over the spread.
    difference, variance = 0.03, 0.02**2
    classes = np.diag([variance / 2, variance / 2])
    one = PoolCovariance(np.array([0.5 + difference, 0.5]), np.zeros((2, 2)), classes, None, 5)
    spreads = np.geomspace(1e-5, 3.0, 4000)
    total = 2 * spreads**2 + variance  # of the difference of two means, each with variance t^2
    density = np.exp(-0.5 * difference**2 / total) / np.sqrt(total) / (1 + (spreads / 0.05) ** 2) * spreads
    mean, sd = difference * 2 * spreads**2 / total, np.sqrt(2 * spreads**2 * variance / total)
    expected = (density * stats.norm.sf(-mean / sd)).sum() / density.sum()
    assert best_probability([one], "clips", n_draws=40_000)[0] == pytest.approx(expected, abs=0.01)


def test_equal_systems_share_and_a_clear_one_is_sure():
    same = covariance_of([0.5, 0.5, 0.5], np.zeros((3, 3)))
    assert best_probability([same]).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    clear = covariance_of([0.5, 0.9, 0.6], np.eye(3) * 1e-5)
    assert best_probability([clear])[1] > 0.999
    assert best_probability([covariance_of([0.5], np.eye(1))]).tolist() == [1.0]


def test_order_does_not_matter_and_more_datasets_make_it_surer():
    one = covariance_of([0.60, 0.64, 0.55], np.eye(3) * 4e-4)
    there = best_probability([one])
    order = [2, 0, 1]
    back = best_probability([covariance_of(one.mean[order], one.classes[np.ix_(order, order)])])
    np.testing.assert_allclose(back, there[order], atol=0.04)
    assert best_probability([one] * 6)[1] > there[1] + 0.1


def test_labels_are_read_off_the_curve():
    shots, mean, half = [1, 5, 20], np.array([0.5, 0.8, 0.9]), np.array([0.1, 0.05, 0.05])
    first, second, third = labels_needed(shots, mean, half)
    assert (first.labels, first.low) == (5, 4)  # 0.6 at 1 shot, 0.85 at 5: 0.8 is at 5 ** 0.8 = 3.6
    assert first.high == 10  # 0.75 at 5 shots, 0.85 at 20: halfway on a logarithmic axis
    assert (second.labels, second.low, second.high) == (20, 10, None)
    assert (third.labels, third.low, third.high) == (None, 20, None)
    assert labels_needed(shots, mean, half, [0.3])[0][1:4] == (1, 1, 1)
    assert labels_needed(shots, mean, np.full(3, np.nan), [0.8])[0][1:4] == (5, None, None)
    # More labels never make it worse, so a dip in the curve changes nothing.
    assert labels_needed([1, 2, 4], np.array([0.5, 0.7, 0.65]), np.zeros(3), [0.7])[0].labels == 2
