import itertools

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import (
    SidesOfClips,
    correct_from_predicted,
    episode_interval,
    make_pool,
    pool_covariance,
    pool_half_widths,
    pool_interval,
)
from tests.statistics.simulated import (
    draw_episodes,
    nearest_centroid,
    sample_classes,
    sample_clips,
    true_accuracy,
)


def coverage(n_classes, n_per_class, *, fixed, n_pools, n_episodes=1000, n_way=5, k_shot=1, n_query=5, dim=4, seed=0):
    """Share of pools whose interval holds the population's accuracy: (the papers', classes fixed, classes new)."""
    rng = np.random.default_rng(seed)
    population = sample_classes(rng, n_classes, dim)
    n_drawn = k_shot + n_query
    truth = true_accuracy(rng, dim, n_way, n_drawn, k_shot, population if fixed else None)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    hits = np.zeros((n_pools, 3))
    for pool in range(n_pools):
        embeddings = sample_clips(rng, *(population if fixed else sample_classes(rng, n_classes, dim)), n_per_class)
        clips = draw_episodes(rng, n_classes, n_per_class, n_episodes, n_way, n_drawn)
        result = pool_interval(nearest_centroid(embeddings, clips, k_shot), clips, labels, k_shot)
        widths = result.ci95, result.pool_ci95_classes_fixed, result.pool_ci95
        hits[pool] = [width is not None and abs(result.mean - truth) <= width for width in widths]
    return hits.mean(axis=0)


def test_with_new_classes_the_papers_interval_fails_and_the_class_jackknife_covers():
    usual, classes_fixed, classes_new = coverage(12, 20, fixed=False, n_pools=150)
    assert usual < 0.25
    assert classes_fixed < 0.6  # it answers another question
    assert 0.90 <= classes_new <= 0.99


def test_with_new_clips_of_the_same_classes_the_papers_interval_fails_and_the_clip_jackknife_covers():
    usual, classes_fixed, _ = coverage(8, 15, fixed=True, n_pools=150)
    assert usual < 0.5
    assert 0.91 <= classes_fixed <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "n_per_class", "k_shot", "n_query"),
    [(6, 40, 1, 5), (10, 40, 1, 5), (10, 40, 5, 5), (20, 30, 1, 1), (40, 20, 5, 15)],
)
def test_coverage_with_new_classes_is_near_95_percent(n_classes, n_per_class, k_shot, n_query):
    usual, _, classes_new = coverage(
        n_classes, n_per_class, fixed=False, n_pools=600, n_episodes=2000, k_shot=k_shot, n_query=n_query
    )
    assert usual < 0.35
    assert 0.915 <= classes_new <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "n_per_class", "k_shot", "n_query"),
    [(5, 20, 1, 5), (10, 20, 1, 1), (10, 40, 1, 5), (20, 10, 1, 5), (40, 20, 5, 15)],
)
def test_coverage_with_classes_fixed_is_near_95_percent(n_classes, n_per_class, k_shot, n_query):
    usual, classes_fixed, _ = coverage(
        n_classes, n_per_class, fixed=True, n_pools=600, n_episodes=2000, k_shot=k_shot, n_query=n_query
    )
    assert usual < 0.6
    assert 0.925 <= classes_fixed <= 0.99


def all_episodes(n_classes, n_per_class, n_way):
    """Every 1-shot 1-query episode of a small pool, so that nothing is left to chance."""
    pairs = list(itertools.permutations(range(n_per_class), 2))
    return np.array(
        [
            [[c * n_per_class + a, c * n_per_class + b] for c, (a, b) in zip(classes, chosen, strict=True)]
            for classes in itertools.combinations(range(n_classes), n_way)
            for chosen in itertools.product(pairs, repeat=n_way)
        ]
    )


def test_with_every_episode_drawn_it_is_the_textbook_jackknife_by_deletion():
    n_classes, n_per_class, n_way = 4, 4, 2
    rng = np.random.default_rng(1)
    embeddings = sample_clips(rng, *sample_classes(rng, n_classes, 2), n_per_class)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    # All 864 episodes, many times over: the noise to be subtracted goes to zero, as the covariances must see.
    clips = np.tile(all_episodes(n_classes, n_per_class, n_way), (200, 1, 1))
    correct = nearest_centroid(embeddings, clips, 1)
    result = pool_covariance(correct[None], make_pool(clips, labels, 1))
    whole = correct.mean()

    without_class = np.array([correct[~(labels[clips] == c).any(axis=(1, 2))].mean() for c in range(n_classes)])
    by_class = (n_classes - 1) / n_classes * ((without_class - whole) ** 2).sum()
    assert result.classes[0, 0] == pytest.approx(by_class, rel=0.01)

    once = all_episodes(n_classes, n_per_class, n_way)
    right = nearest_centroid(embeddings, once, 1)
    by_clip = 0.0
    for clip in range(len(labels)):
        # Without the clip every class set is still as likely, and every query slot: average within those.
        held = (once == clip).any(axis=(1, 2))
        sets = labels[once[:, :, 0]] @ [n_classes, 1]
        kept = np.mean([mean_over_queries(once, right, sets == which, clip) for which in np.unique(sets)])
        assert held.any()
        by_clip += (n_per_class - 1) / n_per_class * (kept - right.mean()) ** 2
    assert result.clips[0, 0] == pytest.approx(by_clip, rel=0.01)


@pytest.mark.parametrize("kind", [bool, float])
def test_the_variance_of_the_clips_is_a_sum_over_pairs_of_appearances_in_different_episodes(kind):
    k_shot, n_way, n_classes, n_per_class = 2, 3, 5, 7
    rng = np.random.default_rng(7)
    clips = draw_episodes(rng, n_classes, n_per_class, 60, n_way, k_shot + 2)
    scores = rng.random((60, n_way, 2)) if kind is float else rng.random((60, n_way, 2)) < 0.5
    labels = np.repeat(np.arange(n_classes), n_per_class)
    result = pool_covariance(scores.reshape(1, 60, -1), make_pool(clips, labels, k_shot))

    centred = scores - scores.mean()
    own, classes = centred.mean(axis=2), labels[clips[:, :, 0]]
    others = own.sum(axis=1, keepdims=True) - own
    total = 0.0
    for c in range(n_classes):
        episodes, slots = np.nonzero(classes == c)
        own_mean, other_mean = own[episodes, slots].mean(), others[episodes, slots].mean()
        a, b = 1 / (n_per_class - k_shot - 1), 1 / (n_per_class - k_shot)
        said = {"support": [], "query": []}  # (episode, clip, what it says)
        slot_sums = []
        for e, slot in zip(episodes, slots, strict=True):
            x = k_shot * ((own_mean - own[e, slot]) * a + (other_mean - others[e, slot]) * b)
            said["support"] += [(e, clip, x) for clip in clips[e, slot, :k_shot]]
            said["query"] += [
                (e, clip, (own_mean - score) * a)
                for clip, score in zip(clips[e, slot, k_shot:], centred[e, slot], strict=True)
            ]
            slot_sums.append(x + (own_mean - own[e, slot]) * a)
        for first, second in itertools.product(said, repeat=2):
            pairs = [
                (v, w)
                for (e, clip, v), (f, other, w) in itertools.product(said[first], said[second])
                if clip == other and e != f
            ]
            total += (n_per_class - 1) * np.mean([v * w for v, w in pairs])
        total += (n_per_class - 1) * np.square(slot_sums).sum() / (len(slot_sums) * (len(slot_sums) - 1))
    assert result.clips[0, 0] == pytest.approx(total / n_classes**2, rel=1e-10)


def mean_over_queries(clips, right, where, deleted):
    """Mean over the queries of some episodes, leaving out a clip as a query and in every support of that query's
    episode."""
    support_has = (clips[:, :, 0] == deleted).any(axis=1)
    slots = []
    for slot in range(clips.shape[1]):
        kept = where & ~support_has & (clips[:, slot, 1] != deleted)
        slots.append(right[kept, slot].mean())
    return np.mean(slots)


def test_the_noise_of_the_episodes_is_subtracted_whatever_their_number():
    rng = np.random.default_rng(2)
    embeddings = sample_clips(rng, *sample_classes(rng, 8, 3), 15)
    labels = np.repeat(np.arange(8), 15)

    def estimates(n_episodes, repeats):
        found = []
        for _ in range(repeats):
            clips = draw_episodes(rng, 8, 15, n_episodes, 5, 4)
            pool = make_pool(clips, labels, 1)
            result = pool_covariance(nearest_centroid(embeddings, clips, 1)[None], pool)
            found.append((result.clips[0, 0], result.classes[0, 0]))
        return np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(repeats)

    few, few_error = estimates(150, 400)
    many, many_error = estimates(5000, 20)
    # One pool, 150 or 5,000 episodes: the same variance of the pool, within what 400 repeats can see.
    np.testing.assert_array_less(np.abs(few - many), 3.5 * np.hypot(few_error, many_error))


def test_the_noise_of_the_episodes_is_that_of_two_independent_means():
    """Against sums over classes, episode by episode; few episodes, so that those without a class count too."""
    rng = np.random.default_rng(8)
    n_classes, n_way = 5, 2
    # The last class is in two episodes, and two are without the first: the fewest that have a variance.
    chosen = np.array([(0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (2, 0), (3, 0), (1, 2), (3, 4)])
    pool = make_pool(2 * chosen[:, :, None] + np.arange(2), np.repeat(np.arange(n_classes), 2), 1)
    scores = rng.random((2, 9, n_way))
    episode = scores.mean(axis=2)
    expected, known = np.zeros((2, 2)), 0
    for c in range(n_classes):
        held = (chosen == c).any(axis=1)
        if min(held.sum(), (~held).sum()) < 2:
            continue
        known += 1
        share = (~held).mean()
        difference = share * (episode[:, ~held].mean(axis=1) - episode[:, held].mean(axis=1))
        noise = share**2 * sum(np.cov(episode[:, part], ddof=1) / part.sum() for part in (held, ~held))
        expected += np.outer(difference, difference) - noise
    expected *= (n_classes - 1) / known * (n_way / (n_classes - n_way)) ** 2
    np.testing.assert_allclose(pool_covariance(scores, pool).classes, expected, rtol=1e-9)


def test_pure_guessing_has_no_variance_of_the_pool():
    rng = np.random.default_rng(3)
    clips = draw_episodes(rng, 20, 30, 2000, 5, 6)
    labels = np.repeat(np.arange(20), 30)
    pool = make_pool(clips, labels, 1)
    found = np.array(
        [
            (result.clips[0, 0] / result.episodes[0, 0], result.classes[0, 0] / result.episodes[0, 0])
            for result in (pool_covariance((rng.random((1, 2000, 25)) < 0.2), pool) for _ in range(60))
        ]
    )
    assert np.all(np.abs(found.mean(axis=0)) < 4 * found.std(axis=0) / np.sqrt(60))


def test_covariances_of_systems_give_the_variance_of_their_difference():
    rng = np.random.default_rng(4)
    clips = draw_episodes(rng, 9, 12, 800, 5, 6)
    labels = np.repeat(np.arange(9), 12)
    population = sample_classes(rng, 9, 4)
    a, b = (nearest_centroid(sample_clips(rng, *population, 12), clips, 1) for _ in range(2))
    pool = make_pool(clips, labels, 1)
    both = pool_covariance(np.stack([a, b]), pool)
    difference = pool_covariance((a.astype(float) - b)[None], pool)
    for source in ("episodes", "clips", "classes"):
        matrix = getattr(both, source)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
        expected = matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]
        assert getattr(difference, source)[0, 0] == pytest.approx(expected, rel=1e-9)


def test_too_few_classes_or_clips_to_tell_is_none():
    rng = np.random.default_rng(5)
    five = draw_episodes(rng, 5, 12, 300, 5, 6)
    result = pool_interval(rng.random((300, 25)) < 0.5, five, np.repeat(np.arange(5), 12), 1)
    assert result.pool_ci95 is None
    assert result.pool_ci95_classes_fixed >= result.ci95 * (1 - 1e-12)
    tight = draw_episodes(rng, 8, 2, 300, 5, 2)
    result = pool_interval(rng.random((300, 5)) < 0.5, tight, np.repeat(np.arange(8), 2), 1)
    assert result.pool_ci95_classes_fixed is None
    assert result.pool_ci95 > 0
    assert pool_half_widths(1e-4, None, None, 5) == (None, None)


def test_a_clip_that_cannot_be_drawn_does_not_count():
    rng = np.random.default_rng(6)
    clips = draw_episodes(rng, 7, 12, 500, 5, 6)
    labels = np.repeat(np.arange(7), 12)
    correct = rng.random((500, 25)) < 0.5
    alone = pool_interval(correct, clips, labels, 1)
    with_others = pool_interval(correct, clips, np.concatenate([labels, np.full(40, -1)]), 1)
    assert with_others == pytest.approx(alone)
    renamed = pool_interval(correct, clips, labels * 3 + 2, 1)  # class numbers need not be dense
    assert renamed == pytest.approx(alone)


def test_the_papers_interval_is_the_closed_form():
    accuracy = np.array([0.2, 0.4, 0.4, 1.0])
    mean, std, ci95 = episode_interval(accuracy)
    assert (mean, std) == (pytest.approx(0.5), pytest.approx(0.3))
    assert ci95 == pytest.approx(1.96 * 0.3 / 2)
    assert stats.norm.ppf(0.975) == pytest.approx(1.96, abs=1e-4)


def test_right_is_the_querys_own_slot():
    predicted = np.array([[0, 1, 1, 1], [1, 0, 0, 1]], dtype=np.int8)
    np.testing.assert_array_equal(correct_from_predicted(predicted, 2), [[1, 0, 1, 1], [0, 1, 0, 1]])
    with pytest.raises(ValueError, match="not a multiple of 3 ways"):
        correct_from_predicted(predicted, 3)


def test_draws_of_another_table_are_refused():
    clips = np.array([[[0, 3], [2, 1]]])
    with pytest.raises(ValueError, match="do not belong together"):
        make_pool(clips, np.array([0, 0, 1, 1]), 1)
    with pytest.raises(ValueError, match="k_shot is 2"):
        make_pool(clips, np.array([0, 1, 1, 0]), 2)


def test_classes_that_hardly_occur_leave_the_variance_unbiased():
    rng = np.random.default_rng(7)
    embeddings = sample_clips(rng, *sample_classes(rng, 60, 3), 12)
    labels = np.repeat(np.arange(60), 12)

    def mean_estimate(n_episodes, repeats):
        draws = [draw_episodes(rng, 60, 12, n_episodes, 5, 3) for _ in range(repeats)]
        found = [
            pool_covariance(nearest_centroid(embeddings, clips, 1)[None], make_pool(clips, labels, 1)).classes[0, 0]
            for clips in draws
        ]
        return np.mean(found), np.std(found) / np.sqrt(repeats)

    few, few_error = mean_estimate(40, 300)  # 3 episodes a class; some classes have one or none
    many, many_error = mean_estimate(4000, 10)
    assert abs(few - many) < 0.1 * many + 3 * np.hypot(few_error, many_error)


def test_half_widths_are_students_over_classes_and_normal_over_clips_with_floors():
    t8 = 2.306004135  # of a table: 97.5% with 8 degrees of freedom
    of_classes, of_clips = pool_half_widths(1e-4, 4e-4, 9e-4, 9)
    assert of_classes == pytest.approx(t8 * np.sqrt(1e-3), rel=1e-8)
    assert of_clips == pytest.approx(1.96 * np.sqrt(5e-4))
    # The classes come with their clips, so their variance is never below that of the clips; and none is below zero.
    assert pool_half_widths(1e-4, 4e-4, 1e-4, 9)[0] == pytest.approx(t8 * np.sqrt(5e-4), rel=1e-8)
    assert pool_half_widths(1e-4, -3e-4, -2e-4, 9) == pytest.approx((t8 * 1e-2, 1.96e-2))
    assert pool_half_widths(1e-4, None, -2e-4, 9) == (pytest.approx(t8 * 1e-2), None)


def test_of_pools_without_a_clip_in_common_it_is_the_textbook_jackknife_over_the_clips_of_both():
    n_classes, n_support, n_query, n_way = 3, 3, 4, 2
    of_class = n_support + n_query
    rng = np.random.default_rng(3)
    embeddings = sample_clips(rng, *sample_classes(rng, n_classes, 2), of_class)
    labels = np.repeat(np.arange(n_classes), of_class)
    is_support = np.tile(np.arange(of_class) < n_support, n_classes)
    pairs = list(itertools.product(range(n_support), range(n_support, of_class)))
    once = np.array(
        [
            [[c * of_class + a, c * of_class + b] for c, (a, b) in zip(classes, chosen, strict=True)]
            for classes in itertools.combinations(range(n_classes), n_way)
            for chosen in itertools.product(pairs, repeat=n_way)
        ]
    )
    sides = SidesOfClips(is_support, ~is_support, np.arange(len(labels)))
    clips = np.tile(once, (300, 1, 1))
    correct = nearest_centroid(embeddings, clips, 1)
    result = pool_covariance(correct[None], make_pool(clips, labels, 1, sides))
    right, by_clip = nearest_centroid(embeddings, once, 1), 0.0
    sets = labels[once[:, :, 0]] @ [n_classes, 1]
    for clip in range(len(labels)):
        kept = np.mean([mean_over_queries(once, right, sets == which, clip) for which in np.unique(sets)])
        n = n_support if is_support[clip] else n_query
        by_clip += (n - 1) / n * (kept - right.mean()) ** 2
    assert result.clips[0, 0] == pytest.approx(by_clip, rel=0.02)


def test_two_recordings_of_each_clip_are_one_clip_of_the_sample():
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(6), 8)
    clips = draw_episodes(rng, 6, 8, 300, 3, 3)
    scores = rng.random((1, 300, 6))
    expected = pool_covariance(scores, make_pool(clips, labels, 1))
    # Supports are rows of a second table with the same clips.
    twice = np.concatenate([clips[:, :, :1] + len(labels), clips[:, :, 1:]], axis=2)
    second = np.arange(2 * len(labels)) >= len(labels)
    unit = np.tile(np.arange(len(labels)), 2)
    found = pool_covariance(scores, make_pool(twice, np.tile(labels, 2), 1, SidesOfClips(second, ~second, unit)))
    np.testing.assert_array_equal([found.clips, found.classes], [expected.clips, expected.classes])


def test_of_pools_that_share_some_of_their_clips_the_variance_from_the_clips_is_not_known():
    clips = np.array([[[0, 1], [4, 5]], [[1, 2], [5, 6]]] * 4)
    labels = np.repeat([0, 1], 4)
    sides = SidesOfClips(np.array([1, 1, 0, 0] * 2), np.ones(8), np.arange(8))
    assert pool_covariance(np.ones((1, 8, 2)), make_pool(clips, labels, 1, sides)).clips is None
