"""Metrics of episodes with all queries: against scikit-learn, against deletion by hand, and their intervals by simulation."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from jfewshot.statistics import SidesOfClips, make_pool
from jfewshot.statistics.unbalanced import METRICS, Scores, right_of_slots, scores_of, unbalanced_covariance
from jfewshot.statistics.unbalanced import unbalanced_interval as interval
from tests.statistics.simulated import sample_classes

REFERENCE = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": lambda true, given: f1_score(true, given, average="macro"),
}


def episode_of(x, supports, queries):
    """The slot whose supports' mean is nearest to each query, by slot."""
    centroids = np.stack([x[list(support)].mean(0) for support in supports])
    return [((x[rows][:, None] - centroids) ** 2).sum(-1).argmin(1) for rows in queries]


def padded(predicted, queries, supports):
    """Predictions, numbers of queries and clips of an episode as the evaluator gives them: filled up to the largest class."""
    n_way, width = len(queries), max(map(len, queries))
    given, clips = np.zeros((n_way, width), int), np.zeros((n_way, len(supports[0]) + width), int)
    for slot in range(n_way):
        given[slot] = slot
        given[slot, : len(queries[slot])] = predicted[slot]
        clips[slot] = [*supports[slot], *queries[slot], *[queries[slot][-1]] * (width - len(queries[slot]))]
    return given.ravel(), [len(rows) for rows in queries], clips


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_is_scikit_learns_also_without_one_of_the_queries(metric):
    rng = np.random.default_rng(0)
    sizes = np.array([[4, 2, 7], [1, 7, 3]])
    predicted = np.repeat(np.arange(3), 7) * np.ones((2, 1), int)
    for episode, slot in itertools.product(range(2), range(3)):
        predicted[episode, 7 * slot : 7 * slot + sizes[episode, slot]] = rng.integers(0, 3, sizes[episode, slot])
    found = scores_of(metric, predicted, sizes)
    for episode in range(2):
        places = [7 * slot + i for slot in range(3) for i in range(sizes[episode, slot])]
        true, given = np.array(places) // 7, predicted[episode, places]
        whole = REFERENCE[metric](true, given)
        assert found.episode[episode] == pytest.approx(whole)
        for out, place in enumerate(places):
            change = found.without[episode].ravel()[place]
            if sizes[episode, place // 7] == 1:
                assert np.isnan(change)
            else:
                rest = np.arange(len(places)) != out
                assert change == pytest.approx(REFERENCE[metric](true[rest], given[rest]) - whole)
        assert np.isnan(found.without[episode].ravel()).sum() == 21 - len(places) + (sizes[episode] == 1).sum()
    assert right_of_slots(predicted, sizes)[0, 0] == (predicted[0, :4] == 0).sum()


def every_episode(x, labels, side, n_way, without=None):
    """All 1-shot episodes of a small pool, with all queries; `side` is 1 for supports, 2 for queries, 3 for both."""
    found = []
    for classes in itertools.combinations(range(labels.max() + 1), n_way):
        of_class = [[i for i in np.flatnonzero(labels == c) if i != without] for c in classes]
        for supports in itertools.product(*[[(i,) for i in rows if side[i] & 1] for rows in of_class]):
            queries = [
                [i for i in rows if side[i] & 2 and i not in support]
                for rows, support in zip(of_class, supports, strict=True)
            ]
            found.append((classes, supports, queries, episode_of(x, supports, queries)))
    return found


def mean_of(metric, episodes):
    """The mean over the sets of classes of the mean over their episodes."""
    values = {}
    for classes, _, queries, predicted in episodes:
        given = np.concatenate(predicted)
        right = [np.sum(one == slot) for slot, one in enumerate(predicted)]
        sizes = [len(rows) for rows in queries]
        if metric == "accuracy":
            value = sum(right) / sum(sizes)
        elif metric == "balanced_accuracy":
            value = np.mean(np.divide(right, sizes))
        else:
            value = np.mean(
                [2 * r / (n + np.sum(given == c)) for c, (r, n) in enumerate(zip(right, sizes, strict=True))]
            )
        values.setdefault(classes, []).append(value)
    return np.mean([np.mean(of_set) for of_set in values.values()])


@pytest.mark.parametrize(
    ("apart", "n_way"),
    [(True, 2), (False, 3), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((False, 2), (True, 3)))],
)
def test_the_clips_variance_is_the_textbook_jackknife_by_deletion(apart, n_way):
    supports, sizes = [2, 3, 2], [4, 5, 3]
    labels = np.repeat(np.arange(3), np.add(sizes, supports) if apart else sizes)
    side = np.concatenate([[1] * a + [2] * b if apart else [3] * b for a, b in zip(supports, sizes, strict=True)])
    x = np.random.default_rng(1).normal(size=(len(labels), 2)) + labels[:, None]
    once = every_episode(x, labels, side, n_way)
    without = [every_episode(x, labels, side, n_way, clip) for clip in range(len(labels))]
    width = max(len(rows) for one in once for rows in one[2])
    predicted, count, clips = (
        np.zeros((len(once), n_way * width), int),
        [],
        np.zeros((len(once), n_way, 1 + width), int),
    )
    for number, (_, chosen, queries, given) in enumerate(once):
        flat, n, drawn = padded(given, queries, chosen)
        count.append(n)
        predicted[number] = np.repeat(np.arange(n_way), width)
        for slot in range(n_way):
            of_slot = flat.reshape(n_way, -1)[slot]
            predicted[number, slot * width : slot * width + len(of_slot)] = of_slot
            clips[number, slot] = drawn[slot, -1]
            clips[number, slot, : drawn.shape[1]] = drawn[slot]
    # Each set of classes equally often, and all many times over: the noise to be subtracted goes to zero.
    sets = [one[0] for one in once]
    weight = [np.lcm.reduce([sets.count(other) for other in set(sets)]) // sets.count(one) for one in sets]
    again = np.repeat(np.arange(len(once)), weight)
    again = np.tile(again, -(-15_000 // len(again)))
    pool = make_pool(clips[again], labels, 1, SidesOfClips(side & 1, side & 2, np.arange(len(labels))))
    for metric in METRICS:
        scores = scores_of(metric, predicted, np.array(count))
        repeated = Scores(scores.episode[again], scores.without[again])
        found = unbalanced_covariance([repeated], np.array(count)[again], pool)
        assert found.mean[0] == pytest.approx(mean_of(metric, once))
        deleted = np.array([mean_of(metric, one) for one in without])
        expected = 0.0
        for c, part in itertools.product(range(3), (1, 2) if apart else (3,)):
            rest = deleted[(labels == c) & (side == part)]
            expected += (len(rest) - 1) / len(rest) * ((rest - rest.mean()) ** 2).sum()
        assert found.clips[0, 0] == pytest.approx(expected, rel=0.02)


def test_a_class_with_a_single_query_leaves_the_variance_from_the_clips_unknown():
    clips = np.array([[[0, 2, 3], [4, 6, 6]], [[1, 2, 3], [5, 6, 6]]] * 3)
    side = SidesOfClips(np.array([1, 1, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 0, 0, 1]), np.arange(7))
    pool = make_pool(clips, np.array([0, 0, 0, 0, 1, 1, 1]), 1, side)
    predicted, count = np.array([[0, 1, 1, 1]] * 6), np.array([[2, 1]] * 6)
    found = interval("macro_f1", predicted, count, pool)
    assert found.pool_ci95_classes_fixed is None
    assert found.mean == pytest.approx((2 / 3 + 2 / 3) / 2)


def coverage(metric_of, n_pools, sizes, supports, n_episodes, new_classes, seed):
    """Share of simulated pools whose interval holds the metric's mean over all pools, for each metric."""
    rng = np.random.default_rng(seed)
    n_classes, n_way, width = len(sizes), 4 if new_classes else len(sizes), max(sizes)
    population = sample_classes(rng, n_classes, 3)
    labels = np.repeat(np.arange(n_classes), np.add(sizes, supports))
    side = np.concatenate([[1] * a + [2] * b for a, b in zip(supports, sizes, strict=True)])
    rows = [np.flatnonzero((labels == c) & (side == 2)) for c in range(n_classes)]
    lies = [np.flatnonzero((labels == c) & (side == 1)) for c in range(n_classes)]
    found = {metric: [] for metric in METRICS}
    for _ in range(n_pools):
        means, spreads = sample_classes(rng, n_classes, 3) if new_classes else population
        x = means[labels] + spreads[labels, None] * rng.normal(size=(len(labels), means.shape[1]))
        clips = np.zeros((n_episodes, n_way, 1 + width), int)
        predicted = np.tile(np.repeat(np.arange(n_way), width), (n_episodes, 1))
        count = np.zeros((n_episodes, n_way), int)
        for episode in range(n_episodes):
            classes = rng.permutation(n_classes)[:n_way]
            chosen = [(rng.choice(lies[c]),) for c in classes]
            queries = [rows[c] for c in classes]
            for slot, given in enumerate(episode_of(x, chosen, queries)):
                predicted[episode, slot * width : slot * width + len(given)] = given
                clips[episode, slot] = [*chosen[slot], *queries[slot], *[queries[slot][-1]] * (width - len(given))]
                count[episode, slot] = len(given)
        pool = make_pool(clips, labels, 1, SidesOfClips(side & 1, side & 2, np.arange(len(labels))))
        for metric in METRICS:
            found[metric].append(metric_of(interval(metric, predicted, count, pool)))
    shares = {}
    for metric, pairs in found.items():
        mean, width_ = np.array(pairs).T
        shares[metric] = float((np.abs(mean - mean.mean()) <= width_).mean())
    return shares


def test_with_new_clips_of_the_same_classes_the_jackknife_over_clips_covers_each_metric():
    shares = coverage(
        lambda found: (found.mean, found.pool_ci95_classes_fixed), 100, (14, 6, 25, 9), (8, 12, 6, 10), 40, False, 5
    )
    assert all(0.90 <= share <= 1 for share in shares.values()), shares


def test_with_new_classes_the_jackknife_over_classes_covers_each_metric():
    shares = coverage(
        lambda found: (found.mean, found.pool_ci95), 50, (14, 6, 15, 9, 8, 12, 5, 10, 7, 9), (6,) * 10, 80, True, 6
    )
    assert all(0.88 <= share <= 1 for share in shares.values()), shares
