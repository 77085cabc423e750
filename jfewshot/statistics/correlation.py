"""Correlations of few-shot accuracy with other scores over upstreams: rank and linear, with their errors."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from jfewshot.statistics.multiple import holm

Method = Literal["spearman", "pearson"]


class Correlations(NamedTuple):
    """Correlations of every few-shot task (row) with every outside metric (column).

    Attributes:
      coefficient: the coefficients; NaN if a column is constant or fewer than three upstreams have both values.
      low, high: ends of the 95% percentile bootstrap interval over upstreams.
      p_value: two-sided p-value, by permuting upstreams.
      p_holm: p-value adjusted over the whole matrix.
      n: number of upstreams that have both values.
    """

    coefficient: Float[np.ndarray, "n_tasks n_metrics"]
    low: Float[np.ndarray, "n_tasks n_metrics"]
    high: Float[np.ndarray, "n_tasks n_metrics"]
    p_value: Float[np.ndarray, "n_tasks n_metrics"]
    p_holm: Float[np.ndarray, "n_tasks n_metrics"]
    n: Integer[np.ndarray, "n_tasks n_metrics"]


def logit(share: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """log(x / (1 - x)) of shares between 0 and 1.

    The difference between accuracies of 0.99 and 0.98 then weighs as much as that between 0.02 and 0.01. Ranks do not
    change."""
    return np.log(share) - np.log1p(-share)


def correlations(
    few_shot: Float[np.ndarray, "n_upstreams n_tasks"],
    outside: Float[np.ndarray, "n_upstreams n_metrics"],
    method: Method = "spearman",
    n_bootstrap: int = 2000,
    n_permutations: int = 9999,
    seed: int = 0,
) -> Correlations:
    """Correlate each few-shot task with each outside metric over the upstreams that have both.

    Args:
      few_shot: accuracies (or their logits).
      outside: metrics for which higher is better, so negate error rates first; NaN if an upstream has none.
      method: `spearman` (ranks; ties get their mean rank) or `pearson`.
      n_bootstrap: resamples of the upstreams.
      n_permutations: permutations of the upstreams.
      seed: seed of the resamples and of the permutations.

    Returns:
      See `Correlations`. With a dozen upstreams the intervals are wide. The true uncertainty is even larger, because
      upstreams are related to each other.
    """
    shape = few_shot.shape[1], outside.shape[1]
    out = {name: np.full(shape, np.nan) for name in ("coefficient", "low", "high", "p_value")}
    n = np.zeros(shape, dtype=np.int64)
    for task, metric in np.ndindex(*shape):
        both = ~np.isnan(few_shot[:, task]) & ~np.isnan(outside[:, metric])
        n[task, metric] = both.sum()
        x, y = few_shot[both, task], outside[both, metric]
        if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        rng = np.random.default_rng([seed, task, metric])
        out["coefficient"][task, metric] = coefficient = _correlate(x[None], y[None], method)[0]
        drawn = rng.integers(len(x), size=(n_bootstrap, len(x)))
        resampled = _correlate(x[drawn], y[drawn], method)
        out["low"][task, metric], out["high"][task, metric] = np.nanquantile(resampled, [0.025, 0.975])
        if method == "spearman":
            x, y = _ranks(x[None])[0], _ranks(y[None])[0]
        shuffled = rng.permuted(np.broadcast_to(y, (n_permutations, len(y))), axis=1)
        chance = np.abs(_pearson(x[None], shuffled)) >= abs(coefficient) - 1e-12
        out["p_value"][task, metric] = (1 + chance.sum()) / (1 + n_permutations)
    return Correlations(out["coefficient"], out["low"], out["high"], out["p_value"], holm(out["p_value"]), n)


def line_with_band(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], at: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Fit the least-squares line of y on x, with the 95% band of the line itself.

    Args:
      x: values on the horizontal axis.
      y: values on the vertical axis.
      at: points at which the line and the band are computed.

    Returns:
      the line, and the half-width of the band (NaN for fewer than 3 values).
    """
    from scipy import stats  # loaded late: see `ranks.rank_test`

    n = len(x)
    fit = stats.linregress(x, y)
    residual = y - fit.intercept - fit.slope * x
    if n < 3:
        return fit.intercept + fit.slope * at, np.full(at.shape, np.nan)
    noise = np.sqrt((residual**2).sum() / (n - 2))
    spread = ((x - x.mean()) ** 2).sum()
    band = stats.t.ppf(0.975, n - 2) * noise * np.sqrt(1 / n + (at - x.mean()) ** 2 / spread)
    return fit.intercept + fit.slope * at, band


def _correlate(x: Float[np.ndarray, "b n"], y: Float[np.ndarray, "b n"], method: Method) -> Float[np.ndarray, " b"]:
    return _pearson(_ranks(x), _ranks(y)) if method == "spearman" else _pearson(x, y)


def _ranks(x: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b n"]:
    from scipy import stats

    return stats.rankdata(x, axis=1)


def _pearson(x: Float[np.ndarray, "b n"], y: Float[np.ndarray, "c n"]) -> Float[np.ndarray, " d"]:
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, (x * y).sum(axis=1) / scale, np.nan)
