"""Scores against scikit-learn, and intervals against the textbook."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score

from jfewshot.downstream.confusions import (
    accuracy,
    by_speaker,
    confusion,
    difference,
    half_width,
    jackknife,
    mean_uar,
    uar,
)


@pytest.fixture
def answers():
    rng = np.random.default_rng(3)
    true = rng.choice(5, 400, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    predicted = np.where(rng.random(400) < 0.6, true, rng.integers(0, 5, 400))
    return true, predicted


def test_uar_is_scikit_learn_s_macro_recall(answers):
    counts = confusion(*answers, 5)
    np.testing.assert_array_equal(counts, confusion_matrix(*answers))
    np.testing.assert_allclose(uar(counts), recall_score(*answers, average="macro"), rtol=1e-12)
    np.testing.assert_allclose(accuracy(counts), np.mean(answers[0] == answers[1]), rtol=1e-12)
    # A class of one, and one without any.
    assert uar(np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]])) == pytest.approx(2.5 / 3)


def test_a_class_that_nobody_says_is_no_part_of_the_mean(answers):
    true, predicted = (answer[answers[0] != 4] for answer in answers)
    predicted = np.where(predicted == 4, 0, predicted)
    np.testing.assert_allclose(uar(confusion(true, predicted, 5)), balanced_accuracy_score(true, predicted), rtol=1e-12)


def test_for_a_mean_over_speakers_the_jackknife_is_the_textbook_s_interval():
    rng = np.random.default_rng(0)
    right = rng.integers(20, 90, 10)
    # Every speaker says 100 utterances of one class: accuracy is the mean of the speakers' own.
    counts = np.zeros((1, 10, 2, 2), np.int64)
    counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 100 - right
    value, half = jackknife(counts, mean_uar)
    np.testing.assert_allclose(value, right.mean() / 100, rtol=1e-12)
    textbook = stats.t.ppf(0.975, 9) * stats.sem(right / 100)
    np.testing.assert_allclose(half, textbook, rtol=1e-9)


def test_a_difference_is_paired_by_speaker():
    counts = np.zeros((2, 1, 6, 2, 2), np.int64)
    base = np.array([10, 30, 50, 70, 90, 40])
    for system, plus in enumerate((5, 0)):
        counts[system, 0, :, 0, 0] = base + plus
        counts[system, 0, :, 0, 1] = 100 - base - plus
    value, half = jackknife(counts, difference)
    np.testing.assert_allclose([value, half], [0.05, 0.0], atol=1e-12)  # the same gain for everybody
    assert jackknife(counts[1], mean_uar)[1] > 0.2


def test_the_interval_over_seeds_is_student_s():
    values = np.array([0.41, 0.47, 0.44])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    np.testing.assert_allclose(half_width(values), (high - low) / 2, rtol=1e-9)
    assert half_width(values[:2]) == pytest.approx(stats.t.ppf(0.975, 1) * 0.03)
    assert np.isnan(half_width(values[:1]))


def test_one_speaker_gives_no_interval(answers):
    counts = by_speaker(*(answer.tolist() for answer in answers), ["a"] * 400, ["a"], 5)
    assert np.isnan(jackknife(counts[None], mean_uar)[1])


def test_the_jackknife_is_about_the_mean_of_the_values_without_each_speaker():
    # By hand. Together [[4, 2], [2, 2]]: UAR (4/6 + 2/4) / 2. Without the first speaker (3/4 + 0/2) / 2 = 3/8, without the
    # second (1/2 + 2/2) / 2 = 3/4; about their mean 9/16 the variance is 1/2 (2 (3/16)^2), and t with one degree is 12.706.
    counts = np.array([[[[1, 1], [0, 2]], [[3, 1], [2, 0]]]])
    value, half = jackknife(counts, mean_uar)
    assert value == pytest.approx(7 / 12)
    assert half == pytest.approx(12.7062047362 * 3 / 16, rel=1e-9)
