"""Test whether A is better than B: paired differences on the same episodes, with the variance from clips and classes.

Pairing removes effects that both systems share, since hard episodes are hard for both. But the noise of the episodes
alone must not decide: with enough episodes, every difference is many standard errors wide. A difference that would not
repeat on other clips or classes is not a finding.
"""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import special

from jfewshot.statistics.multiple import holm_of_pairs
from jfewshot.statistics.pool import Pool, PoolCovariance

PoolKind = Literal["classes", "clips"]
_EXACT_FLIPS = 14  # 2^14 sign patterns are enumerated; more units are sampled


class Differences(NamedTuple):
    """Differences between systems, row minus column; antisymmetric.

    Attributes:
      difference: difference of mean accuracy.
      half_width: half-width of its 95% interval.
      p_value: two-sided p-value of the hypothesis of no difference; NaN on the diagonal.
      p_holm: p-value adjusted over all pairs.
    """

    difference: Float[np.ndarray, "n n"]
    half_width: Float[np.ndarray, "n n"]
    p_value: Float[np.ndarray, "n n"]
    p_holm: Float[np.ndarray, "n n"]


def difference_variance(
    covariance: PoolCovariance, pool: PoolKind = "classes"
) -> tuple[Float[np.ndarray, "n n"], float, PoolKind]:
    """Variance of every pair's difference on one dataset, its degrees of freedom, and the kind of new sample that it describes.

    Args:
      covariance: of the systems' mean accuracies, from `pool_covariance`.
      pool: `classes` for other classes with other clips, `clips` for other clips of these classes. If there are too few
          classes, `classes` means `clips`.

    Raises:
      ValueError: if the pool is too small for both.
    """
    clips = None if covariance.clips is None else np.maximum(_of_differences(covariance.clips), 0.0)
    episodes = _of_differences(covariance.episodes)
    if pool == "classes" and covariance.classes is not None:
        classes = np.maximum(_of_differences(covariance.classes), 0.0 if clips is None else clips)
        return episodes + classes, covariance.n_classes - 1.0, "classes"
    if clips is None:
        raise ValueError("the pool is too small to estimate the variance of a difference: too few classes and clips")
    return episodes + clips, np.inf, "clips"


def compare(covariances: Sequence[PoolCovariance], pool: PoolKind = "classes") -> Differences:
    """Compare systems on one dataset, or on the average over several given datasets.

    The difference divided by its standard error is compared with Student's t. The degrees of freedom are n_classes - 1
    on one dataset, Satterthwaite's for an average, and infinite (the normal approximation) for other clips of the same
    classes.

    Args:
      covariances: one per dataset, of the same systems in the same order.
      pool: as in `difference_variance`.
    """
    n_datasets = len(covariances)
    difference = np.mean([c.mean[:, None] - c.mean[None, :] for c in covariances], axis=0)
    parts = [difference_variance(c, pool)[:2] for c in covariances]
    variance = sum(v for v, _ in parts) / n_datasets**2
    spread = sum(v**2 / freedom for v, freedom in parts) / n_datasets**4
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(spread > 0, variance**2 / spread, np.inf)
        ratio = np.where(variance > 0, np.abs(difference) / np.sqrt(variance), np.where(difference != 0, np.inf, 0.0))
    # Student's t, and the normal distribution as its limit. `scipy.stats` also has both, but takes 0.8 s to load.
    finite = np.where(np.isfinite(freedom), freedom, 1.0)
    tail = np.where(np.isfinite(freedom), special.stdtr(finite, -ratio), special.ndtr(-ratio))
    p_value = 2 * tail
    np.fill_diagonal(p_value, np.nan)
    quantile = np.where(np.isfinite(freedom), special.stdtrit(finite, 0.975), special.ndtri(0.975))
    half_width = quantile * np.sqrt(variance)
    return Differences(difference, half_width, p_value, holm_of_pairs(p_value))


def class_scores(
    scores: Shaped[np.ndarray, "n_systems n_episodes n_queries"], pool: Pool
) -> Float[np.ndarray, "n_systems n_classes"]:
    """Per-class accuracy: the mean score of each class's queries over the episodes with the class."""
    own = scores.reshape(*scores.shape[:2], pool.slot_class.shape[1], -1).mean(axis=3, dtype=np.float64)
    known = ~np.isnan(own[0]).ravel()
    classes, n_classes = pool.slot_class.ravel()[known], len(pool.class_size)
    sums = [np.bincount(classes, row.ravel()[known], n_classes) for row in own]
    held = np.bincount(classes, minlength=n_classes)
    return np.divide(sums, held, out=np.full((len(own), n_classes), np.nan), where=held > 0)


def class_pseudo_values(
    scores: Shaped[np.ndarray, "n_systems n_episodes n_queries"], pool: Pool
) -> Float[np.ndarray, "n_systems n_classes"]:
    """Jackknife pseudo-value of each class: n A - (n - 1) A_without_it.

    The pseudo-value is the contribution of a class to the mean score, through its own queries and through those of the
    other classes of its episodes. Pseudo-values average to the mean score and are nearly independent. The accuracies of
    the classes' own queries are not independent, because a class that is confused with another class lowers the
    accuracy of both.

    Raises:
      ValueError: if every class is in every episode.
    """
    n_way, n_classes = pool.slot_class.shape[1], len(pool.class_size)
    if n_classes <= n_way:
        raise ValueError(
            f"{n_classes} classes in {n_way}-way episodes: every episode has all of them, so none can be left out"
        )
    episode = scores.mean(axis=2, dtype=np.float64)
    mean = episode.mean(axis=1, keepdims=True)
    classes, expected = pool.slot_class.ravel(), episode.shape[1] * n_way / n_classes
    # Deviations are divided by the expected number of episodes with the class, not by the drawn number, so that they
    # sum to zero.
    deviation = [np.bincount(classes, np.repeat(row, n_way), minlength=n_classes) / expected for row in episode - mean]
    return mean + n_way * (n_classes - 1) / (n_classes - n_way) * np.stack(deviation)


def permutation_p_value(
    differences: Sequence[Float[np.ndarray, " _n_classes"]], seed: int = 0, n_draws: int = 9999
) -> float:
    """Two-sided sign-flip permutation test that the mean difference is zero.

    If two systems are exchangeable, swapping them within any class does not change the distribution of the differences.
    All sign patterns are used if there are few, and otherwise a sample of them that includes the observed one.

    Args:
      differences: per dataset, the difference of two systems per class (rows of `class_pseudo_values`, subtracted). The
        statistic is the mean over datasets of the mean over classes.
      seed: seed of the sampled sign patterns.
      n_draws: number of sampled sign patterns, if not all patterns are tried.

    Returns:
      the p-value, 0-1.
    """
    units = np.concatenate([d / (len(d) * len(differences)) for d in differences])
    observed = abs(units.sum())
    if len(units) <= _EXACT_FLIPS:
        signs = np.array(list(itertools.product((1, -1), repeat=len(units))), dtype=np.int8)
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice(np.array([1, -1], dtype=np.int8), size=(n_draws, len(units)))
        extra = 1
    as_large = np.abs(signs @ units) >= observed * (1 - 1e-12) - 1e-15
    return (int(as_large.sum()) + extra) / (len(signs) + extra)


def wins_ties_losses(per_dataset: Sequence[Differences], alpha: float = 0.05) -> Shaped[np.ndarray, "n n 3"]:
    """On how many datasets the row system is better than, no different from, and worse than the column system.

    A difference counts if its p-value, adjusted by Holm over all pairs of that dataset, is below alpha.
    """
    significant = np.stack([d.p_holm < alpha for d in per_dataset])
    sign = np.stack([np.sign(d.difference) for d in per_dataset])
    wins, losses = (significant & (sign > 0)).sum(axis=0), (significant & (sign < 0)).sum(axis=0)
    counts = np.stack([wins, len(per_dataset) - wins - losses, losses], axis=-1)
    counts[np.diag_indices(counts.shape[0])] = 0
    return counts


def _of_differences(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    diagonal = np.diag(matrix)
    return diagonal[:, None] + diagonal[None, :] - matrix - matrix.T
