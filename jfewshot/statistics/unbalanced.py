"""Accuracy, balanced accuracy and macro F1 of episodes in which all clips of a class are queries, with their intervals.

Each metric is computed per episode from the counts of (true slot, predicted slot), and averaged over the episodes:

- *accuracy*: the share of correctly classified queries, whatever their class;
- *balanced accuracy* (unweighted average recall): the mean over the classes of the share of correctly classified
  queries;
- *macro F1*: the mean over the classes of 2 TP / (2 TP + FP + FN).

The intervals are those of `pool.py`. The effect of a class is estimated from the episodes with and without it. The
effect of a clip has two parts. The effect as a support is estimated from the episodes with and without this support. In
all other episodes of its class the clip is a query, and its effect as a query is the change when the clip is removed
from the counts. Macro F1 is not a mean over queries, so its interval is the jackknife interval for a smooth function of
the clips (Efron and Stein, 1981).
"""

import typing
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from jfewshot.statistics.intervals import AccuracyInterval, episode_interval, pool_half_widths
from jfewshot.statistics.pool import Pool, PoolCovariance, class_covariance, pair_weights

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1"]
METRICS: tuple[Metric, ...] = typing.get_args(Metric)
_NUMBERS_AT_ONCE = 2**22  # of a block of episodes


class Scores(NamedTuple):
    """One metric of some episodes.

    Attributes:
      episode: its value in each episode, 0-1.
      without: its change when a query is left out; NaN if that leaves a class without queries, and for padding.
    """

    episode: Float[np.ndarray, " n_episodes"]
    without: Float[np.ndarray, "n_episodes n_way n_query"]


def scores_of(
    metric: Metric,
    predicted: Integer[np.ndarray, "n_episodes n_queries"],
    count: Integer[np.ndarray, "n_episodes n_way"],
    in_folds: bool = False,
) -> Scores:
    """A metric of each episode.

    Args:
      metric: the metric.
      predicted: the slot that each query was assigned to, class-major, padded to the size of the largest class.
      count: number of queries of each class without padding.
      in_folds: whether a class without queries in an episode has queries in other episodes; accuracy then ignores the
          class in this episode.

    Returns:
      the metric of each episode, and the effect of each query on it.
    """
    n_episodes, n_way = count.shape
    by_slot = predicted.reshape(n_episodes, n_way, -1).astype(np.int64)
    episode = np.empty(n_episodes)
    without = np.empty(by_slot.shape)
    step = max(1, _NUMBERS_AT_ONCE // n_way**2)
    for start in range(0, n_episodes, step):
        block = slice(start, start + step)
        is_query = np.arange(by_slot.shape[2]) < count[block, :, None]
        value, change = _of_counts(metric, confusion_counts(by_slot[block], is_query), count[block], in_folds)
        episode[block] = value
        there = np.take_along_axis(change, by_slot[block], axis=2)
        without[block] = np.where(is_query, there, np.nan)
    return Scores(episode, without)


def confusion_counts(
    by_slot: Integer[np.ndarray, "n_episodes n_way n_query"], is_query: Bool[np.ndarray, "n_episodes n_way n_query"]
) -> Float[np.ndarray, "n_episodes n_way n_way"]:
    """How many queries of each slot were assigned to each slot, in each episode.

    Args:
      by_slot: the slot that each query was assigned to.
      is_query: True for queries, False for padding.

    Returns:
      the counts, with the true slot before the predicted slot.
    """
    n_episodes, n_way, _ = by_slot.shape
    row = np.arange(n_episodes * n_way).reshape(n_episodes, n_way, 1)
    place = (row * n_way + by_slot)[is_query]
    return np.bincount(place, minlength=n_episodes * n_way**2).reshape(n_episodes, n_way, n_way).astype(np.float64)


def _of_counts(metric: Metric, counts: np.ndarray, count: np.ndarray, in_folds: bool) -> tuple[np.ndarray, np.ndarray]:
    """A metric of each episode, and its change without one query of each (true slot, predicted slot)."""
    n_way = count.shape[1]
    size = count.astype(np.float64)
    right = np.diagonal(counts, axis1=1, axis2=2)
    diagonal = np.eye(n_way)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(size > 1, 1.0, np.nan)[:, :, None]
        if metric == "accuracy":
            total, all_right = size.sum(1)[:, None, None], right.sum(1)[:, None, None]
            value = (all_right / total)[:, 0, 0]
            return value, ((all_right - diagonal) / (total - 1) - all_right / total) * (1.0 if in_folds else alone)
        if metric == "balanced_accuracy":
            recall = right / size
            if not size.all():  # over the classes that have queries
                return np.nanmean(recall, axis=1), np.full(counts.shape, np.nan)
            change = ((right[:, :, None] - diagonal) / (size[:, :, None] - 1) - recall[:, :, None]) / n_way
            return recall.mean(1), change * alone
        both = size + counts.sum(1)  # queries of a class, plus queries assigned to it
        f1 = 2 * right / both
        if not size.all():  # over the classes that have queries or predictions, as scikit-learn does
            return np.nanmean(f1, axis=1), np.full(counts.shape, np.nan)
        # Without a correct query, one class has one query less and one assigned query less. Without a wrong one, two
        # classes change.
        own_right = 2 * (right - 1) / np.maximum(both - 2, 1) - f1
        own_wrong = 2 * right / np.maximum(both - 1, 1) - f1
        change = own_wrong[:, :, None] + own_wrong[:, None, :]
        change = np.where(diagonal.astype(bool), own_right[:, :, None], change)
        return f1.mean(1), change / n_way * alone


def unbalanced_covariance(
    scores: list[Scores], count: Integer[np.ndarray, "n_episodes n_way"], pool: Pool
) -> PoolCovariance:
    """Covariance of several systems' mean scores on the same episodes, from episodes, from clips and from classes.

    Args:
      scores: scores of each system, from `scores_of`.
      count: number of queries of each class without padding.
      pool: the clips and classes of the episodes, from `make_pool`.

    Returns:
      estimates as in `pool_covariance`. The covariance from the clips is also None if a class has a single query.
    """
    episode = np.stack([one.episode for one in scores])
    mean = episode.mean(1)
    centred = episode - mean[:, None]
    return PoolCovariance(
        mean,
        centred @ centred.T / centred.shape[1] ** 2,
        _clip_covariance(centred, np.stack([one.without for one in scores]), count, pool),
        class_covariance(centred, pool.slot_class, len(pool.class_size)),
        len(pool.class_size),
    )


def unbalanced_interval(
    metric: Metric,
    predicted: Integer[np.ndarray, "n_episodes n_queries"],
    count: Integer[np.ndarray, "n_episodes n_way"],
    pool: Pool,
    in_folds: bool = False,
) -> AccuracyInterval:
    """A metric over all episodes with the three intervals that accuracy has.

    Args:
      metric: the metric.
      predicted: the slot that each query was assigned to, class-major, padded to the size of the largest class.
      count: number of queries of each class without padding.
      pool: the clips and classes of the episodes, from `make_pool`.
      in_folds: see `scores_of`.

    Returns:
      the mean and the intervals.
    """
    scores = scores_of(metric, predicted, count, in_folds)
    mean, std, ci95 = episode_interval(scores.episode)
    found = unbalanced_covariance([scores], count, pool)
    of_classes, of_clips = pool_half_widths(
        found.episodes[0, 0],
        None if found.clips is None else found.clips[0, 0],
        None if found.classes is None else found.classes[0, 0],
        found.n_classes,
    )
    return AccuracyInterval(mean, std, ci95, of_classes, of_clips)


def _clip_covariance(
    episode: Float[np.ndarray, "n_systems n_episodes"],
    without: Float[np.ndarray, "n_systems n_episodes n_way n_query"],
    count: Integer[np.ndarray, "n_episodes n_way"],
    pool: Pool,
) -> Float[np.ndarray, "n_systems n_systems"] | None:
    """Delete-one-clip jackknife within each class.

    Deleting clip i of a class with n clips changes the mean by

        d_i = n_way / C [ k / (n - k) (A - A_i) + W_i ],

    where A is the mean over the episodes with the class, A_i the mean over the episodes with i among the supports, and
    W_i the mean change over the episodes in which i is a query that is left out. In folds, i is a query in only some of
    the episodes in which it is not a support, and W_i is weighted by the share of these episodes. Squares are replaced
    by products over pairs of different episodes, as in `pool.py`.
    """
    k_shot, n_classes = pool.k_shot, len(pool.class_size)
    apart = pool.support_size is not None
    sizes = (pool.class_size if pool.support_size is None else pool.support_size).astype(np.float64)
    is_query = np.arange(without.shape[3]) < count[:, :, None]
    if not pool.told_apart or sizes.min() <= k_shot or np.isnan(without[:, is_query]).any():
        return None
    n_systems, n_way, n_clips = len(episode), count.shape[1], len(pool.clip_class)
    slot_class = pool.slot_class.ravel()
    held = np.bincount(slot_class, minlength=n_classes).astype(np.float64)
    support = pool.clips[:, :, :k_shot].ravel()
    query = pool.clips[:, :, k_shot:][is_query]
    n_support = np.bincount(support, minlength=n_clips).astype(np.float64)
    n_queried = np.bincount(query, minlength=n_clips).astype(np.float64)
    weights = pair_weights(pool, n_support, n_queried)
    if weights is None:
        return None
    pair_ss, pair_qq, pair_sq = weights
    factor = (n_way * k_shot / (sizes - k_shot))[slot_class]
    query_class = np.broadcast_to(pool.slot_class[:, :, None], is_query.shape)[is_query]
    asked = (n_queried > 0) | ((pool.clip_class >= 0) & (not apart))
    could = np.bincount(pool.clip_class[asked], (held[pool.clip_class] - n_support)[asked], n_classes)
    share = np.bincount(pool.clip_class[asked], n_queried[asked], n_classes) / np.maximum(could, 1)
    x, mean_y = np.empty((2, n_systems, len(slot_class)))
    x_sum, y_sum = np.empty((2, n_systems, n_clips))
    y = np.empty((n_systems, len(query)))
    for s in range(n_systems):
        of_slot = np.repeat(episode[s], n_way)
        x[s] = factor * ((np.bincount(slot_class, of_slot, n_classes) / held)[slot_class] - of_slot)
        x_sum[s] = np.bincount(support, np.repeat(x[s], k_shot), n_clips)
        y[s] = n_way * without[s][is_query]
        of_class = np.bincount(query_class, y[s], n_classes) / np.maximum(
            np.bincount(query_class, minlength=n_classes), 1
        )
        y[s] = (y[s] - of_class[query_class]) * share[query_class]
        y_sum[s] = np.bincount(query, y[s], n_clips)
        in_slot = np.zeros(is_query.shape)
        in_slot[is_query] = y[s]
        mean_y[s] = (in_slot.sum(2) / np.maximum(count, 1)).ravel()
    cross = (x_sum * pair_sq) @ y_sum.T
    squares = cross + cross.T
    squares += (x_sum * pair_ss) @ x_sum.T - (x * pair_ss[support].reshape(-1, k_shot).sum(1)) @ x.T
    squares += (y_sum * pair_qq) @ y_sum.T - (y * pair_qq[query]) @ y.T
    # Centring by means over the same episodes lowers every pair's product by the variance of these means, so add this
    # variance.
    again = (1 / (held * np.maximum(held - 1, 1)))[slot_class]
    query_sizes = (pool.class_size if pool.query_size is None else pool.query_size)[slot_class]
    parts = [(x, sizes[slot_class]), (mean_y, query_sizes)] if apart else [(x + mean_y, sizes[slot_class])]
    for slot, size in parts:
        squares += (slot * ((size - 1) * again)) @ slot.T
    return squares / n_classes**2


def right_of_slots(
    predicted: Shaped[np.ndarray, "n_episodes n_queries"], count: Integer[np.ndarray, "n_episodes n_way"]
) -> Integer[np.ndarray, "n_episodes n_way"]:
    """How many queries of each class of an episode were classified correctly.

    Args:
      predicted: the slot that each query was assigned to, class-major; the true slot in padding.
      count: number of queries of each class without padding.
    """
    n_way = count.shape[1]
    by_slot = predicted.reshape(len(predicted), n_way, -1)
    filler = by_slot.shape[2] - count
    return (by_slot == np.arange(n_way)[:, None]).sum(2) - filler
