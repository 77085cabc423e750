import itertools

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import (
    class_pseudo_values,
    class_scores,
    compare,
    difference_variance,
    holm,
    holm_of_pairs,
    make_pool,
    permutation_p_value,
    pool_covariance,
    wins_ties_losses,
)
from jfewshot.statistics.paired import Differences
from jfewshot.statistics.pool import PoolCovariance
from tests.statistics.simulated import draw_episodes, nearest_centroid, sample_classes, sample_clips


def two_encoders(rng, n_classes=12, n_per_class=15, n_episodes=1000, gap=0.0):
    """Scores of two encoders on one pool: the same clips seen through noise of their own, the second with more by
    `gap`."""
    means, spreads = sample_classes(rng, n_classes, 4)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    clips = draw_episodes(rng, n_classes, n_per_class, n_episodes, 5, 6)
    # What an encoder makes of a class is its own too, so encoders that are equal on the whole differ on this pool.
    scores = [
        nearest_centroid(
            sample_clips(rng, means + 0.5 * rng.standard_normal(means.shape), spreads * (1 + extra), n_per_class),
            clips,
            1,
        )
        for extra in (0.0, gap)
    ]
    return np.stack(scores), make_pool(clips, labels, 1)


def test_equal_encoders_seldom_differ_though_the_episodes_noise_says_they_do():
    rng = np.random.default_rng(0)
    wrong, by_pool, by_flips = 0, 0, 0
    trials = 120
    for _ in range(trials):
        scores, pool = two_encoders(rng)
        covariance = pool_covariance(scores, pool)
        difference = covariance.mean[0] - covariance.mean[1]
        episodes = covariance.episodes
        standard_error = np.sqrt(episodes[0, 0] + episodes[1, 1] - 2 * episodes[0, 1])
        wrong += abs(difference) > 1.96 * standard_error
        by_pool += compare([covariance]).p_value[0, 1] < 0.05
        by_flips += permutation_p_value([np.subtract(*class_pseudo_values(scores, pool))]) < 0.05
    assert wrong > 0.7 * trials
    assert by_pool < 0.12 * trials  # 5% plus what 120 trials scatter
    assert by_flips < 0.12 * trials


def test_a_large_difference_is_found():
    scores, pool = two_encoders(np.random.default_rng(1), gap=2.0)
    found = compare([pool_covariance(scores, pool)])
    assert found.p_value[0, 1] < 1e-3
    assert found.difference[0, 1] - found.half_width[0, 1] > 0
    np.testing.assert_allclose(found.difference, -found.difference.T)
    assert np.isnan(found.p_value[0, 0])


def covariance_of(mean, variance, n_classes=9):
    n = len(mean)
    zero = np.zeros((n, n))
    return PoolCovariance(np.array(mean), zero, zero, np.diag(np.full(n, variance)), n_classes)


def test_one_dataset_is_students_t_and_an_average_is_welchs():
    one = compare([covariance_of([0.6, 0.5], 0.002)])
    standard_error = np.sqrt(0.004)
    assert one.p_value[0, 1] == pytest.approx(2 * stats.t.sf(0.1 / standard_error, 8))
    assert one.half_width[0, 1] == pytest.approx(stats.t.ppf(0.975, 8) * standard_error)
    # Two datasets of unequal variance: the same as Welch's two-sample t-test on the means of 9 and 5 values.
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.3, 0.1, 9), rng.normal(-0.1, 0.3, 5)
    parts = [
        PoolCovariance(
            np.array([x.mean(), 0.0]), *(np.zeros((2, 2)),) * 2, np.diag([x.var(ddof=1) / len(x), 0]), len(x)
        )
        for x in (a, b)
    ]
    assert compare(parts).p_value[0, 1] == pytest.approx(stats.ttest_ind(a, -b, equal_var=False).pvalue)


def test_where_the_classes_cannot_tell_the_clips_do():
    covariance = covariance_of([0.6, 0.5], 0.002)._replace(classes=None, clips=np.eye(2) * 0.001)
    variance, freedom, pool = difference_variance(covariance)
    assert (variance[0, 1], freedom, pool) == (pytest.approx(0.002), np.inf, "clips")
    with pytest.raises(ValueError, match="too small to estimate"):
        difference_variance(covariance._replace(clips=None))


def test_sign_flips_agree_with_scipys_permutation_test():
    rng = np.random.default_rng(3)
    for n in (7, 30):
        x = rng.normal(0.3, 1.0, n)
        theirs = stats.permutation_test(
            (x,), np.mean, permutation_type="samples", n_resamples=20000, vectorized=False, rng=0
        ).pvalue
        assert permutation_p_value([x], n_draws=20000) == pytest.approx(theirs, abs=0.01 if n > 14 else 1e-12)
    assert permutation_p_value([np.zeros(5)]) == 1.0


def test_pseudo_values_average_to_the_mean_and_class_scores_are_each_classs_own():
    scores, pool = two_encoders(np.random.default_rng(4), n_classes=9)
    np.testing.assert_allclose(class_pseudo_values(scores, pool).mean(axis=1), scores.mean(axis=(1, 2)))
    first = np.repeat(pool.slot_class == 0, 5, axis=1)
    assert class_scores(scores, pool)[1, 0] == pytest.approx(scores[1][first].mean())
    with pytest.raises(ValueError, match="5 classes in 5-way"):
        class_pseudo_values(*two_encoders(np.random.default_rng(5), n_classes=5, n_episodes=50))


def test_pseudo_values_are_those_of_a_jackknife_where_every_episode_was_drawn():
    rng = np.random.default_rng(6)
    chosen = np.array(list(itertools.combinations(range(5), 2)))  # every pair of five classes, once
    clips = 2 * chosen[:, :, None] + np.arange(2)  # a support and a query of each
    pool = make_pool(clips, np.repeat(np.arange(5), 2), 1)
    scores = rng.random((2, len(chosen), 2))
    episode = scores.mean(axis=2)
    without = np.stack([episode[:, ~(chosen == c).any(axis=1)].mean(axis=1) for c in range(5)], axis=1)
    expected = 5 * episode.mean(axis=1, keepdims=True) - 4 * without
    np.testing.assert_allclose(class_pseudo_values(scores, pool), expected, rtol=1e-12)


def test_holm_is_the_textbook_example():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, np.nan, 0.02, 0.03])), [0.06, 0.04, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
    pairs = holm_of_pairs(np.array([[np.nan, 0.01, 0.5], [0.01, np.nan, 0.02], [0.5, 0.02, np.nan]]))
    np.testing.assert_allclose(pairs, [[np.nan, 0.03, 0.5], [0.03, np.nan, 0.04], [0.5, 0.04, np.nan]])


def test_wins_ties_and_losses_count_datasets():
    def one(difference, p):
        sign = np.array([[0, 1], [-1, 0]])
        both = np.array([[np.nan, p], [p, np.nan]])
        return Differences(difference * sign, np.zeros((2, 2)), both, both)

    counts = wins_ties_losses([one(0.1, 0.001), one(0.1, 0.5), one(-0.2, 0.001), one(0.3, 0.01)])
    assert counts[[0, 1], [0, 1]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert counts[0, 1].tolist() == [2, 1, 1]
    assert counts[1, 0].tolist() == [1, 1, 2]
    assert counts[0, 0].tolist() == [0, 0, 0]


def covariances(clips, classes, episodes=1e-4):
    """Of two systems whose difference has these variances."""
    first = np.diag([1.0, 0.0])
    return PoolCovariance(
        np.array([0.6, 0.5]), episodes * first, None if clips is None else clips * first, classes * first, 9
    )


@pytest.mark.parametrize(
    ("clips", "classes", "pool", "expected"),
    [
        (4e-4, 9e-4, "classes", 10e-4),
        (4e-4, 2e-4, "classes", 5e-4),  # classes come with their clips
        (-4e-4, -2e-4, "classes", 1e-4),  # no variance is below zero
        (None, -2e-4, "classes", 1e-4),
        (4e-4, 9e-4, "clips", 5e-4),
        (-4e-4, 9e-4, "clips", 1e-4),
    ],
)
def test_variances_of_a_difference_have_floors(clips, classes, pool, expected):
    variance, freedom, _ = difference_variance(covariances(clips, classes), pool)
    assert variance[0, 1] == variance[1, 0] == pytest.approx(expected)
    assert freedom == (8 if pool == "classes" else np.inf)


def test_sampled_sign_flips_count_the_pattern_that_was_seen():
    # Twenty equal differences: of 99 sampled patterns none is as large (two in a million are), so p is 1 in 100.
    assert permutation_p_value([np.full(20, 0.1)], n_draws=99) == pytest.approx(1 / 100)
    assert permutation_p_value([np.zeros(20)], n_draws=99) == 1.0
    # Few are enumerated, the pattern that was seen among them.
    assert permutation_p_value([np.full(5, 0.1)]) == pytest.approx(2 / 2**5)


def test_datasets_of_unequal_size_weigh_the_same_in_a_permutation():
    # The statistic is the mean over datasets of the mean over classes, here of one class and of three.
    one, other = 0.3, (1.0, -0.4, 0.5)

    def statistic(signs):
        return abs(signs[0] * one / 2 + sum(sign * x for sign, x in zip(signs[1:], other, strict=True)) / 6)

    seen = statistic((1, 1, 1, 1))
    patterns = list(itertools.product((1, -1), repeat=4))
    expected = np.mean([statistic(signs) >= seen - 1e-12 for signs in patterns])
    assert permutation_p_value([np.array([one]), np.array(other)]) == pytest.approx(expected)
    assert 2 / 16 < expected < 1


def test_wins_need_a_p_value_that_holds_for_all_pairs():
    sign, p = np.array([[0, 1], [-1, 0]]), np.array([[np.nan, 0.02], [0.02, np.nan]])
    counts = wins_ties_losses([Differences(0.1 * sign, np.zeros((2, 2)), p, 3 * p), Differences(0.1 * sign, p, p, p)])
    assert counts[0, 1].tolist() == [1, 1, 0]
