"""Intervals that account for the limited number of clips and classes: how much accuracy would change with another sample.

The papers' interval, 1.96 std / sqrt(n_episodes), is conditional on the pool of clips: it goes to zero with more
episodes, however small the dataset is (Lafargue et al., "Oops, I Sampled it Again", TMLR 2024). But the pool is itself
a sample. The mean accuracy of all its episodes is a U-statistic, so a delete-one jackknife (Efron and Stein, Annals of
Statistics 1981) estimates its variance from the kept predictions alone, without new episodes:

- *new classes and clips*: delete one class. A class is sampled together with its clips, so (class, its clips) are the
  independent units, and the class jackknife is the variance of the whole two-stage sample. Adding a clip jackknife would
  count the clips twice.
- *fixed classes, new clips*: delete one clip, within each class.

The mean after a deletion is estimated from finitely many episodes, and squaring an estimate adds the variance of its
noise. So the squares are replaced by unbiased estimates: products over pairs of *different* episodes that share the
class (or the clip). The noise of the mean itself, the papers' variance, is added once at the end: it is part of the
error of the number that is printed.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped


class PoolCovariance(NamedTuple):
    """Covariances of the mean accuracies of several systems over the same episodes, by source of error.

    Attributes:
      mean: mean score of each system over all episodes and queries.
      episodes: from the limited number of episodes; its diagonal is the papers' standard error, squared.
      clips: from the limited number of clips of these classes, without the part from episodes; None if a class has too
          few clips to estimate it.
      classes: from the limited number of classes and clips, without the part from episodes; None if there are too few
          classes to estimate it.
      n_classes: classes of the pool that were drawn.
    """

    mean: Float[np.ndarray, " n_systems"]
    episodes: Float[np.ndarray, "n_systems n_systems"]
    clips: Float[np.ndarray, "n_systems n_systems"] | None
    classes: Float[np.ndarray, "n_systems n_systems"] | None
    n_classes: int


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """The clips and classes of each episode, in the form that the jackknife needs.

    Attributes:
      clips: row of each drawn clip; the first `k_shot` of a slot are its support, the rest its queries.
      slot_class: class of each slot, 0 .. n_classes - 1.
      clip_class: class of each clip; -1 for a clip that takes no part.
      class_size: clips of each class.
      k_shot: supports per slot.
      support_size, query_size: numbers of clips of each class that can be supports, and queries, if no clip can be
          both; None if supports and queries are drawn from the same clips.
      told_apart: whether the two pools are the same or have no clip in common. If they share only some of their clips,
          the variance from the choice of clips is unknown.
    """

    clips: Integer[np.ndarray, "n_episodes n_way n_drawn"]
    slot_class: Integer[np.ndarray, "n_episodes n_way"]
    clip_class: Integer[np.ndarray, " n_clips"]
    class_size: Integer[np.ndarray, " n_classes"]
    k_shot: int
    support_size: Integer[np.ndarray, " n_classes"] | None = None
    query_size: Integer[np.ndarray, " n_classes"] | None = None
    told_apart: bool = True

    def with_supports(self, count: Integer[np.ndarray, "n_episodes n_way"] | None) -> "Pool":
        """The same pool; if some class had fewer supports, the variance from the choice of clips is marked as unknown.

        Args:
          count: number of supports of each class without padding; None if there is no padding.
        """
        if count is None or count.min() == self.k_shot:
            return self
        return dataclasses.replace(self, told_apart=False)

    @functools.cached_property
    def appearances(self) -> tuple[Float[np.ndarray, " n_clips"], Float[np.ndarray, " n_clips"]]:
        """How often each clip of the table was drawn: as a support, and as a query."""
        parts = self.clips[:, :, : self.k_shot], self.clips[:, :, self.k_shot :]
        support, query = (np.bincount(part.ravel(), minlength=len(self.clip_class)) for part in parts)
        return support.astype(np.float64), query.astype(np.float64)


class SidesOfClips(NamedTuple):
    """The clips that can be supports and those that can be queries, if these are drawn from separate pools.

    Attributes:
      support, query: for each clip of the table, whether it can be a support, and a query.
      unit: a number for each clip of the table. Two recordings of one clip have the same number, since they are one
          clip of the sample.
    """

    support: Shaped[np.ndarray, " n_clips"]
    query: Shaped[np.ndarray, " n_clips"]
    unit: Integer[np.ndarray, " n_clips"]


def make_pool(
    clips: Integer[np.ndarray, "n_episodes n_way n_drawn"],
    class_of_clip: Integer[np.ndarray, " n_clips"],
    k_shot: int,
    sides: SidesOfClips | None = None,
) -> Pool:
    """Describe drawn episodes.

    Args:
      clips: row (in the clip table) of each drawn clip, supports first.
      class_of_clip: class of every clip of the table, any integers; negative for clips that cannot be drawn (of another
        split).
      k_shot: supports per class.
      sides: which clips can be supports and which queries; None where all clips can be both.

    Returns:
      the drawn clips with their classes.

    Raises:
      ValueError: if a slot holds clips of two classes, or no query is left.
    """
    if not 0 < k_shot < clips.shape[2]:
        raise ValueError(f"k_shot is {k_shot}, with {clips.shape[2]} clips drawn per class: between 1 and that needed")
    drawn = class_of_clip[clips]
    if (drawn != drawn[:, :, :1]).any() or (drawn < 0).any():
        raise ValueError("draws and classes do not belong together: a slot holds clips of two classes, or of none")
    seen, slot_class = np.unique(drawn[:, :, 0], return_inverse=True)
    dense = np.full(max(int(class_of_clip.max()), 0) + 2, -1)
    dense[seen] = np.arange(len(seen))
    clip_class = dense[np.where(class_of_clip < 0, -1, class_of_clip)]
    if sides is not None:
        return _pool_of_sides(clips, slot_class.reshape(clips.shape[:2]), clip_class, k_shot, sides)
    class_size = np.bincount(clip_class[clip_class >= 0], minlength=len(seen))
    return Pool(clips, slot_class.reshape(clips.shape[:2]), clip_class, class_size, k_shot)


def _pool_of_sides(clips, slot_class, clip_class, k_shot: int, sides: SidesOfClips) -> Pool:
    """The pool with units in place of clips, so that two recordings of one clip count as one clip."""
    n_units, n_classes = int(sides.unit.max()) + 1, int(slot_class.max()) + 1
    unit_class = np.full(n_units, -1)
    can_be = np.zeros((2, n_units), bool)
    for row, can in enumerate((sides.support, sides.query)):
        of_side = can.astype(bool) & (clip_class >= 0)
        unit_class[sides.unit[of_side]] = clip_class[of_side]
        can_be[row, sides.unit[of_side]] = True
    class_size, support_size, query_size = (
        np.bincount(unit_class[can], minlength=n_classes) for can in (can_be.any(0), can_be[0], can_be[1])
    )
    same, apart = (can_be[0] == can_be[1]).all(), not can_be.all(0).any()
    described = Pool(sides.unit[clips], slot_class, unit_class, class_size, k_shot, told_apart=bool(same or apart))
    return dataclasses.replace(described, support_size=support_size, query_size=query_size) if apart else described


def pool_covariance(
    scores: Shaped[np.ndarray, "n_systems n_episodes n_queries"], pool: Pool, of_slots: bool = False
) -> PoolCovariance:
    """Covariance of several systems' mean scores on the same episodes, from episodes, from clips and from classes.

    Args:
      scores: score of each query (1 or True if the prediction is correct), class-major, so query j belongs to slot
          `j // n_query`. Other real scores are possible, such as the difference between two systems.
      pool: the clips and classes of the episodes, from `make_pool`.
      of_slots: whether there is one score per slot instead, the mean of its queries. Then it is unknown which clips
          were classified correctly, so the covariance from the clips is None.

    Returns:
      Unbiased estimates (up to the jackknife's own bias, which is upward), so a diagonal entry may be negative by
      chance.
    """
    n_systems, n_episodes, _ = scores.shape
    n_way = pool.slot_class.shape[1]
    by_slot = scores.reshape(n_systems, n_episodes, n_way, -1)
    # Computed as a product, since NumPy's mean over a short last axis takes several times as long.
    own = by_slot.astype(np.float64) @ np.ones(by_slot.shape[3]) / by_slot.shape[3]
    mean = own.mean(axis=(1, 2))
    episode = own.mean(axis=2) - mean[:, None]
    return PoolCovariance(
        mean,
        _products(episode, episode) / n_episodes**2,
        None if of_slots else _clip_covariance(scores, own - mean[:, None, None], mean, pool),
        class_covariance(episode, pool.slot_class, len(pool.class_size)),
        len(pool.class_size),
    )


def class_covariance(
    episode: Float[np.ndarray, "n_systems n_episodes"],
    slot_class: Integer[np.ndarray, "n_episodes n_way"],
    n_classes: int,
) -> Float[np.ndarray, "n_systems n_systems"] | None:
    """Delete-one-class jackknife.

    Without class c the mean is A + d_c, d_c = n_way / (n_classes - n_way) * (A - A_c), where A_c is the mean over the
    episodes that hold c; the variance is (n_classes - 1) / n_classes * sum of d_c squared.

    Args:
      episode: the score of each episode, centred.
      slot_class: class of each slot.
      n_classes: how many classes were drawn.

    Returns:
      the covariance; None if it is unknown.
    """
    n_episodes, n_way = slot_class.shape
    held = np.bincount(slot_class.ravel(), minlength=n_classes).astype(np.float64)
    rest = n_episodes - held
    known = (held >= 2) & (rest >= 2)  # False for some classes if there are thousands of classes and few episodes
    if n_classes <= n_way or not known.any():
        return None
    with_class = np.stack([_sum_at(slot_class, np.repeat(row, n_way), n_classes) for row in episode])
    total = episode.sum(axis=1, keepdims=True)
    mean_held, mean_rest = with_class / np.maximum(held, 1), (total - with_class) / np.maximum(rest, 1)
    difference = np.where(known, (mean_rest - mean_held) * (rest / n_episodes), 0.0)  # A - A_c
    # Variance of the noise of A - A_c, a difference of two independent means, so (rest/n)^2 (var_held / held + var_rest
    # / rest), variances unbiased.
    share = np.where(known, (rest / n_episodes) ** 2, 0.0)
    weight_held = share / np.maximum(held * (held - 1), 1)
    weight_rest = share / np.maximum(rest * (rest - 1), 1)
    per_episode = (weight_held - weight_rest)[slot_class].sum(axis=1) + weight_rest.sum()
    noise = _products(episode * per_episode, episode)
    noise -= (mean_held * held * weight_held) @ mean_held.T + (mean_rest * rest * weight_rest) @ mean_rest.T
    return (n_classes - 1) / known.sum() * (n_way / (n_classes - n_way)) ** 2 * (difference @ difference.T - noise)


def _clip_covariance(
    scores: Shaped[np.ndarray, "n_systems n_episodes n_queries"],
    own: Float[np.ndarray, "n_systems n_episodes n_way"],
    mean: Float[np.ndarray, " n_systems"],
    pool: Pool,
) -> Float[np.ndarray, "n_systems n_systems"] | None:
    """Delete-one-clip jackknife within each class.

    Deleting clip i of a class of n clips removes a query of its own class, and a support, which affects every query of
    the episode. With B the mean score of the class's own queries, O that of the other slots' queries in the same
    episodes, and B_i, O_i the same with i in the support, Q_i with i the query, deleting i changes the mean by

        d_i = 1/C [ (k (B - B_i) + (B - Q_i)) / (n - k - 1)  +  (n_way - 1) k (O - O_i) / (n - k) ].

    The squares of d_i are averaged over pairs of appearances in different episodes, so clips that were drawn once or
    never cause no bias; the variance is the sum over classes of (n - 1) / n * (n * mean square).
    """
    n_systems, n_episodes, n_way = own.shape
    k_shot, n_classes, n_clips = pool.k_shot, len(pool.class_size), len(pool.clip_class)
    factors = _factors(pool)
    if factors is None:
        return None
    slot_class = pool.slot_class
    held = np.bincount(slot_class.ravel(), minlength=n_classes).astype(np.float64)
    others = own.sum(axis=2, keepdims=True) - own  # sum over the n_way - 1 other slots
    supports = pool.clips[:, :, :k_shot]
    queries = pool.clips[:, :, k_shot:].ravel()
    n_support, n_queried = pool.appearances
    weights = pair_weights(pool, n_support, n_queried)
    if weights is None:
        return None
    pair_ss, pair_qq, pair_sq = weights

    # The effect of an appearance as a support, times C (x), and the sum over each clip's appearances.
    own_factor, other_factor, query_factor = factors
    x, own_x = np.empty((2, n_systems, n_episodes * n_way))
    x_sum, own_mean = np.empty((n_systems, n_clips)), np.empty((n_systems, n_classes))
    for s in range(n_systems):
        own_mean[s] = _sum_at(slot_class, own[s], n_classes) / held
        other_mean = _sum_at(slot_class, others[s], n_classes) / held
        centred = (own_mean[s][slot_class] - own[s]).ravel()
        own_x[s] = centred * query_factor[slot_class].ravel()
        of_others = ((other_mean[slot_class] - others[s]) * other_factor[slot_class]).ravel()
        x[s] = k_shot * (centred * own_factor[slot_class].ravel() + of_others)
        x_sum[s] = _sum_at(supports, np.repeat(x[s], k_shot), n_clips)
    # The effect of an appearance as a query is y = f (m - score), where f and m depend only on the clip's class. So the
    # sums over a clip's appearances follow from the number of appearances, the sum of the scores and the sum of their
    # squares.
    f = query_factor[pool.clip_class]
    m = (mean[:, None] + own_mean)[:, pool.clip_class]
    flat = scores.reshape(n_systems, -1)
    score_sum = np.stack([_sum_at(queries, row, n_clips) for row in flat])
    y_sum = f * (m * n_queried - score_sum)
    weight = pair_qq * f**2
    if flat.dtype == bool and n_systems == 1:  # a score of 0 or 1 equals its square
        y_squares = (score_sum * weight).sum(axis=1, keepdims=True)
    else:
        y_squares = _products(flat * weight[queries], flat)
    between = (score_sum * weight) @ m.T
    y_squares = y_squares - between - between.T + (m * (weight * n_queried)) @ m.T

    cross = (x_sum * pair_sq) @ y_sum.T
    squares = cross + cross.T
    squares += (x_sum * pair_ss) @ x_sum.T - _products(x * pair_ss[supports].sum(axis=2).ravel(), x)
    squares += (y_sum * pair_qq) @ y_sum.T - y_squares
    # Centring by a mean over the same episodes lowers every pair's product by the variance of that mean, so add this
    # variance.
    again = 1 / (held * np.maximum(held - 1, 1))
    # own_x equals the mean of the slot's y.
    if pool.support_size is None or pool.query_size is None:
        parts = [(x + own_x, pool.class_size)]
    else:
        parts = [(x, pool.support_size), (own_x, pool.query_size)]
    for slot, size in parts:
        squares += _products(slot * ((size - 1) * again)[slot_class.ravel()], slot)
    return squares / n_classes**2


def _factors(pool: Pool) -> tuple[Float[np.ndarray, " n_classes"], ...] | None:
    """The factors of a support's effect on its own class, of its effect on the other classes, and of a query's effect,
    per class.

    If the pools share no clip, deleting a support changes the mean by k / (n - k) times the difference of the means
    with and without it, for its own class and for other classes, and deleting a query changes it by 1 / (n - 1) times
    that difference. The factors are None if a class has too few clips.
    """
    k_shot = pool.k_shot
    if not pool.told_apart:
        return None
    if pool.support_size is None or pool.query_size is None:
        size = pool.class_size.astype(np.float64)
        if size.min() <= k_shot + 1:
            return None
        return 1 / (size - k_shot - 1), 1 / (size - k_shot), 1 / (size - k_shot - 1)
    support, query = pool.support_size.astype(np.float64), pool.query_size.astype(np.float64)
    if support.min() <= k_shot or query.min() <= 1:
        return None
    return 1 / (support - k_shot), 1 / (support - k_shot), 1 / (query - 1)


def pair_weights(
    pool: Pool, n_support: Float[np.ndarray, " n_clips"], n_queried: Float[np.ndarray, " n_clips"]
) -> tuple[Float[np.ndarray, " n_clips"], Float[np.ndarray, " n_clips"], Float[np.ndarray, " n_clips"]] | None:
    """Weights that turn sums over pairs of appearances into (n - 1)/n * n * mean over pairs, per class.

    They are scaled up to account for classes in which no clip was drawn twice.

    Args:
      pool: the clips and classes of the episodes.
      n_support: how often each clip was a support.
      n_queried: how often each clip was a query.

    Returns:
      weights of each clip, for pairs of supports, for pairs of queries, and for mixed pairs. None if no clip of any
      class was drawn twice.
    """
    part = pool.clip_class >= 0
    weights: list[np.ndarray] = []
    apart = pool.support_size is not None
    for pairs, size in (
        (n_support * (n_support - 1), pool.class_size if pool.support_size is None else pool.support_size),
        (n_queried * (n_queried - 1), pool.class_size if pool.query_size is None else pool.query_size),
        (n_support * n_queried, pool.class_size),
    ):
        if apart and len(weights) == 2:  # no clip is a support in one episode and a query in another
            weights.append(np.zeros(len(part)))
            continue
        of_class = _sum_at(pool.clip_class[part], pairs[part], len(pool.class_size))
        known = of_class > 0
        if not known.any():
            return None
        scale = np.where(known, (size - 1) / np.where(known, of_class, 1), 0.0) * (len(known) / known.sum())
        weights.append(np.where(part, scale[pool.clip_class], 0.0))
    return weights[0], weights[1], weights[2]


def _products(
    a: Shaped[np.ndarray, "n_systems n"], b: Shaped[np.ndarray, "n_systems n"]
) -> Float[np.ndarray, "n_systems n_systems"]:
    """`a @ b.T`; for one system a plain sum, since starting the threads of a BLAS takes longer than the sum."""
    return (a * b).sum(axis=1, keepdims=True) if len(a) == 1 else a @ b.T


def _sum_at(
    index: Integer[np.ndarray, "..."], values: Shaped[np.ndarray, "..."], length: int
) -> Float[np.ndarray, " length"]:
    return np.bincount(index.ravel(), weights=values.ravel(), minlength=length)
