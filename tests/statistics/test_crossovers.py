"""Changes of places along a curve: found where they are, and rarely where there are none."""

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import crossovers
from jfewshot.statistics.paired import Differences


def along(means, error):
    """Differences between systems with given mean accuracies (points x systems) and standard error of a difference."""
    points = []
    for row in means:
        difference = row[:, None] - row[None, :]
        p_value = 2 * stats.norm.sf(np.abs(difference) / error)
        np.fill_diagonal(p_value, np.nan)
        points.append(Differences(difference, np.full_like(difference, 1.96 * error), p_value, p_value))
    return points


def test_a_change_of_places_is_found_between_its_points():
    means = np.array([[0.60, 0.50, 0.10], [0.65, 0.62, 0.10], [0.70, 0.75, 0.10], [0.72, 0.85, 0.10]])
    (found,) = crossovers(along(means, 0.02))
    assert (found.first, found.second) == (0, 1)
    assert found.between == (1, 2)
    assert found.surest == (0, 3)
    # The smaller lead, 10 points, has the larger p-value. Of 12 tests, 8 are about the third system and one about the
    # 13 points: both have smaller p-values, so this one is multiplied by 3.
    assert found.p_holm == pytest.approx(3 * 2 * stats.norm.sf(5))


def test_the_system_that_leads_first_is_named_first_whatever_its_number():
    means = np.array([[0.5, 0.6], [0.6, 0.5]])
    (found,) = crossovers(along(means, 0.02))
    assert (found.first, found.second, found.between) == (1, 0, (0, 1))


def test_curves_that_do_not_cross_and_single_points_have_none():
    means = np.array([[0.5, 0.6], [0.6, 0.6], [0.7, 0.8]])
    assert crossovers(along(means, 0.02)) == []
    assert crossovers(along(means[:1], 0.02)) == []


def test_a_lead_within_its_error_on_one_side_is_within_chance():
    means = np.array([[0.51, 0.50], [0.50, 0.70]])
    (found,) = crossovers(along(means, 0.02))
    assert found.p_holm > 0.5


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_equal_curves_rarely_cross_by_more_than_chance(shared):
    """Six systems with equal true curves over seven points, whose errors along a curve are independent or alike."""
    rng, false, samples = np.random.default_rng(3), 0, 400
    for _ in range(samples):
        own, common = rng.standard_normal((7, 6)), rng.standard_normal((1, 6))
        means = 0.5 + 0.02 * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common)
        found = crossovers(along(means, 0.02 * np.sqrt(2)))
        false += bool(found) and found[0].p_holm < 0.05
    assert false <= 0.05 * samples
