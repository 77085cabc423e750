"""Intervals of a mean accuracy: the papers' interval, and two that account for the limited number of clips and classes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped
from scipy import special

from jfewshot.statistics.pool import Pool, make_pool, pool_covariance

# The papers use 1.96. We use the same number, so that our CI95 equals theirs to the last digit.
Z95 = 1.96


class AccuracyInterval(NamedTuple):
    """Mean accuracy of a cell with its intervals, 0-1; the fields of a result record's `accuracy`.

    Attributes:
      mean: mean over episodes.
      std: standard deviation over episodes, ddof 0.
      ci95: 1.96 std / sqrt(n_episodes), as the papers report: the uncertainty of the mean over *these clips*, which
          goes to zero with more episodes.
      pool_ci95: half-width for another sample of classes, with their clips; None if there are too few to estimate it.
      pool_ci95_classes_fixed: half-width for another sample of clips of the same classes; None if there are too few to
          estimate it.
    """

    mean: float
    std: float
    ci95: float
    pool_ci95: float | None
    pool_ci95_classes_fixed: float | None


def correct_from_predicted(
    predicted: Integer[np.ndarray, "n_episodes n_queries"], n_way: int
) -> Shaped[np.ndarray, "n_episodes n_queries"]:
    """Which queries were assigned to their own slot. Queries are class-major: query j's slot is `j // n_query`."""
    n_queries = predicted.shape[1]
    if n_queries % n_way:
        raise ValueError(f"{n_queries} predictions per episode are not a multiple of {n_way} ways")
    return predicted == np.repeat(np.arange(n_way, dtype=predicted.dtype), n_queries // n_way)


def episode_interval(accuracy: Float[np.ndarray, " n_episodes"]) -> tuple[float, float, float]:
    """Mean, std (ddof 0) and 95% half-width 1.96 std / sqrt(n_episodes) of the episodes' accuracies."""
    std = float(accuracy.std())
    return float(accuracy.mean()), std, Z95 * std / float(np.sqrt(len(accuracy)))


def pool_interval(
    correct: Shaped[np.ndarray, "n_episodes n_queries"],
    clips: Integer[np.ndarray, "n_episodes n_way n_drawn"],
    class_of_clip: Integer[np.ndarray, " n_clips"],
    k_shot: int,
) -> AccuracyInterval:
    """Mean accuracy with the papers' interval, and jackknife intervals for the limited numbers of clips and classes (`pool`).

    Args:
      correct: whether each query was assigned to its own slot, class-major (`correct_from_predicted`).
      clips: row in the clip table of each drawn clip; the first `k_shot` of a slot are its support, the rest its
        queries.
      class_of_clip: class of every clip of the table as an integer; -1 for a clip that cannot be drawn (of another
        split, or of a class left out). The number of clips that a class *has* matters, whether they were drawn or not.
      k_shot: supports per class.

    Returns:
      The intervals. `pool_ci95` uses Student's t with n_classes - 1 degrees of freedom: the variance from a jackknife
      over ten classes is itself uncertain. `pool_ci95` is never narrower than `pool_ci95_classes_fixed`, whose variance
      it includes.
    """
    return interval_on_pool(correct, make_pool(clips, class_of_clip, k_shot))


def interval_on_pool(correct: Shaped[np.ndarray, "n_episodes n_queries"], pool: Pool) -> AccuracyInterval:
    """`pool_interval` for a pool that is made once and used for every system on the same episodes.

    Args:
      correct: whether each query was assigned to its own slot, class-major (`correct_from_predicted`); or any other
          number per query, whose mean is computed.
      pool: the clips and classes of the episodes, from `make_pool`.
    """
    n_episodes, n_way, n_drawn = pool.clips.shape
    n_queries = n_way * (n_drawn - pool.k_shot)
    if correct.shape != (n_episodes, n_queries):
        raise ValueError(f"{correct.shape} predictions for {n_episodes} episodes of {n_queries} queries")
    mean, std, ci95 = episode_interval(correct.mean(axis=1))
    covariance = pool_covariance(correct[None], pool)
    of_classes, of_clips = pool_half_widths(
        covariance.episodes[0, 0],
        None if covariance.clips is None else covariance.clips[0, 0],
        None if covariance.classes is None else covariance.classes[0, 0],
        covariance.n_classes,
    )
    return AccuracyInterval(mean, std, ci95, of_classes, of_clips)


def interval_of_episodes(values: Float[np.ndarray, " n_episodes"], pool: Pool) -> AccuracyInterval:
    """`interval_on_pool` for numbers that exist only per episode; the interval for fixed classes is then unknown.

    Args:
      values: one number per episode.
      pool: the clips and classes of the episodes, from `make_pool`.
    """
    mean, std, ci95 = episode_interval(values)
    of_slots = np.repeat(values[None, :, None], pool.slot_class.shape[1], axis=2)
    found = pool_covariance(of_slots, pool, of_slots=True)
    classes = None if found.classes is None else found.classes[0, 0]
    return AccuracyInterval(mean, std, ci95, *pool_half_widths(found.episodes[0, 0], None, classes, found.n_classes))


def pool_half_widths(
    episodes: float, clips: float | None, classes: float | None, n_classes: int
) -> tuple[float | None, float | None]:
    """95% half-widths (classes and clips new, classes fixed) from the variances of `pool_covariance`.

    A variance whose estimate is negative, by chance, counts as zero; then only the noise of the episodes remains.

    Args:
      episodes: variance from the drawing of episodes.
      clips: variance from the choice of clips; None if unknown.
      classes: variance from the choice of classes and clips; None if unknown.
      n_classes: number of classes.

    Returns:
      the half-width for new classes and clips, and the half-width for fixed classes; None where the variance is
      unknown.
    """
    clip_part = 0.0 if clips is None else max(float(clips), 0.0)
    fixed = None if clips is None else Z95 * float(np.sqrt(episodes + clip_part))
    if classes is None:
        return None, fixed
    variance = float(episodes) + max(float(classes), clip_part)
    return float(special.stdtrit(n_classes - 1, 0.975) * np.sqrt(variance)), fixed
