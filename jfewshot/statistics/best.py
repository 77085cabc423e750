"""The probability that each system is the best for new clips and classes of this kind.

The observed means m differ from the true ones by an error with covariance V, the pool's. Only differences matter, so both are
taken in an orthonormal basis of contrasts, in which V is diagonal (eigenvalues l_i, observed contrasts d_i). The model:

    scale        s ~ chi-squared(f) / f            V was itself estimated, with f degrees of freedom
    true means   theta_i ~ Normal(0, t^2)          a priori, no system is better than another
    spread       t ~ half-Cauchy(0.05)             encoders commonly differ by several points of accuracy
    observed     d_i ~ Normal(theta_i, l_i / s)

Given s and t, the true contrasts are normal with mean d_i w_i and variance w_i l_i / s, w_i = t^2 / (t^2 + l_i / s).
Without the spread t, a system that leads by less than its error would be called the best far too often, since one of
many equal systems always leads by chance. (Gelman, Hill and Yajima, "Why we (usually) don't have to worry about
multiple comparisons", 2012.)
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jfewshot.statistics.paired import PoolKind, difference_variance
from jfewshot.statistics.pool import PoolCovariance

SPREAD = 0.05  # scale of the prior of t, accuracy 0-1
_SPREADS = np.geomspace(1e-4, 1.0, 32)
_SCALES = 256


def best_probability(
    covariances: Sequence[PoolCovariance], pool: PoolKind = "classes", n_draws: int = 4000, seed: int = 0
) -> Float[np.ndarray, " n_systems"]:
    """The probability of each system to be the best on average over the datasets.

    Args:
      covariances: one per dataset, of the same systems in the same order.
      pool: for other classes with other clips, or for other clips of these classes; see `difference_variance`.
      n_draws: draws from the posterior distribution; the standard error of a probability is 0.8 points at most.
      seed: seed of the draws. The same results give the same probabilities.

    Returns:
      probabilities, 0-1, with sum 1. Systems that cannot differ share theirs.

    Raises:
      ValueError: if a pool is too small to estimate the variance of a difference.
    """
    n_systems, n_datasets = len(covariances[0].mean), len(covariances)
    if n_systems == 1:
        return np.ones(1)
    mean = np.mean([one.mean for one in covariances], axis=0)
    centre = np.eye(n_systems) - 1 / n_systems
    parts, freedoms = [], []
    for one in covariances:
        differences, freedom, _ = difference_variance(one, pool)
        # A covariance with these variances of differences (classical scaling); its part for the common level is not
        # used.
        parts.append(-0.5 * centre @ np.maximum(differences, 0) @ centre / n_datasets**2)
        freedoms.append(freedom)
    covariance = np.sum(parts, axis=0)
    traces = np.array([np.trace(part) for part in parts])
    spread = (traces**2 / np.array(freedoms)).sum()  # Satterthwaite's degrees of freedom, as in `compare`
    freedom = traces.sum() ** 2 / spread if spread > 0 else np.inf
    values, vectors = np.linalg.eigh(covariance + np.ones((n_systems, n_systems)))
    basis = np.delete(vectors, np.argmax(np.abs(vectors.sum(axis=0))), axis=1)  # removes the common level
    values = np.maximum(np.einsum("ij,ik,kj->j", basis, covariance, basis), 0.0)
    true = _draws(basis.T @ mean, values, freedom, n_draws, seed) @ basis.T
    top = true >= true.max(axis=1, keepdims=True) - 1e-12
    return (top / top.sum(axis=1, keepdims=True)).mean(axis=0)


def _draws(
    observed: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"], freedom: float, n_draws: int, seed: int
) -> Float[np.ndarray, "n_draws n"]:
    """Draws of the true contrasts, given observed ones and the variances of their errors."""
    rng = np.random.default_rng(seed)
    scale = rng.chisquare(freedom, _SCALES) / freedom if np.isfinite(freedom) else np.ones(1)
    noise = np.maximum(error, 1e-16)[:, None] / scale  # n x scales
    total = noise[:, :, None] + _SPREADS**2  # n x scales x spreads
    log_weight = -0.5 * (np.log(total) + observed[:, None, None] ** 2 / total).sum(axis=0)
    # The half-Cauchy density times t, since the steps of the grid grow with t.
    log_weight += np.log(_SPREADS / (1 + (_SPREADS / SPREAD) ** 2))
    weight = np.exp(log_weight - log_weight.max()).ravel()
    chosen = rng.choice(len(weight), n_draws, p=weight / weight.sum())
    at_scale, at_spread = np.divmod(chosen, len(_SPREADS))
    own_noise = noise[:, at_scale].T
    share = _SPREADS[at_spread, None] ** 2 / (_SPREADS[at_spread, None] ** 2 + own_noise)
    return share * observed + np.sqrt(share * own_noise) * rng.standard_normal((n_draws, len(observed)))
