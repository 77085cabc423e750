"""Predict accuracy beyond the last evaluated number of shots, by a law that is fitted to the curve, with the prediction's error.

With accuracy on a probit scale and shots on a logarithmic scale, few-shot curves are nearly straight lines. Most of
them bend towards saturation, and some bend upwards. So the law is a line whose slope drifts. With x = log(shots /
first),

    probit(accuracy(x)) = level + integral of slope dx,      d slope = -decay * slope dx + drift dW,

where W is a Wiener process. This is an integrated Ornstein-Uhlenbeck process. Level and first slope have wide normal
priors, the decay is 0.02, 0.25 or 0.5 for each factor e of shots with equal weights, and the drift has a log-normal
prior with median 0.05. For each decay and drift everything is normal, so posterior means and variances are exact; the
mixture is over the grid of decays and drifts, weighted by how well each explains the curve. A curve that is straight
gets a narrow prediction, and a crooked one a wide one.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

LEAST_POINTS = 5  # points of a curve; with fewer points its bend is unknown
_DECAYS = (0.02, 0.25, 0.5)
_DRIFTS = np.geomspace(0.02, 0.6, 9)
_MEDIAN_DRIFT, _SPREAD_OF_DRIFT = 0.05, 0.8  # of the log-normal prior
_LEVEL, _SLOPE = 2.0, 0.7  # standard deviations of the priors
_ROUGHNESS = 0.003  # error of the law at each point, on the probit scale
_MOST = 1 - 1e-4  # accuracies nearer to 0 or 1 have no useful probit


class Prediction(NamedTuple):
    """Accuracies at some numbers of shots, as a mixture of normal distributions on the probit scale.

    Attributes:
      weight: of each component; their sum is 1.
      mean: means of the components.
      variance: variances of the components.
    """

    weight: Float[np.ndarray, " n_components"]
    mean: Float[np.ndarray, "n_components n_at"]
    variance: Float[np.ndarray, "n_components n_at"]

    def quantiles(self, shares: Sequence[float]) -> Float[np.ndarray, "n_at n_shares"]:
        """Quantiles of the accuracy 0-1.

        Args:
          shares: which quantiles, 0-1.
        """
        found = []
        for mean, deviation in zip(self.mean.T, np.sqrt(self.variance.T), strict=True):
            values = np.linspace((mean - 6 * deviation).min(), (mean + 6 * deviation).max(), 400)
            below = self.weight @ special.ndtr((values - mean[:, None]) / deviation[:, None])
            found.append(special.ndtr(np.interp(shares, below, values)))
        return np.stack(found)


def predict_curve(
    shots: Sequence[int],
    mean: Float[np.ndarray, " n"],
    error: Float[np.ndarray, " n"],
    at: Sequence[int] | Sequence[float],
    shared_error: float = 0.0,
) -> Prediction | None:
    """Predict the accuracy at other numbers of shots.

    Args:
      shots: evaluated numbers of support clips per class, ascending.
      mean: accuracy 0-1 at each.
      error: standard error of each from the limited number of episodes.
      at: numbers of shots at which the accuracy is predicted, none below the first evaluated one.
      shared_error: standard error of the last accuracy from the limited numbers of clips and classes, which the whole
          curve shares.

    Returns:
      the prediction; None for a curve of fewer than `LEAST_POINTS` points, or with an accuracy or error that is not finite.
    """
    if len(shots) < LEAST_POINTS or not (np.isfinite(mean).all() and np.isfinite(error).all()):
        return None
    inside = np.clip(mean, 1 - _MOST, _MOST)
    value = special.ndtri(inside)
    noise = (error / _density(value)) ** 2 + _ROUGHNESS**2
    shared = (shared_error / _density(value[-1:])[0]) ** 2
    covariance = _covariances(tuple(map(float, shots)), tuple(map(float, at)))
    n = len(shots)
    root = np.linalg.cholesky(covariance[:, :n, :n] + np.diag(noise))
    ours = np.linalg.solve(root, np.broadcast_to(value[:, None], (len(root), n, 1)))[:, :, 0]
    theirs = np.linalg.solve(root, covariance[:, :n, n:])
    log_weight = _log_priors() - 0.5 * (ours**2).sum(axis=1)
    log_weight -= np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    variance = np.diagonal(covariance, axis1=1, axis2=2)[:, n:] - (theirs**2).sum(axis=1)
    predicted = np.einsum("cn,cna->ca", ours, theirs)
    return Prediction(weight / weight.sum(), predicted, np.maximum(variance, 1e-10) + shared)


def _density(value: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.exp(-0.5 * value**2) / np.sqrt(2 * np.pi)


def _log_priors() -> Float[np.ndarray, " n_components"]:
    of_drift = -0.5 * (np.log(_DRIFTS / _MEDIAN_DRIFT) / _SPREAD_OF_DRIFT) ** 2
    return np.tile(of_drift, len(_DECAYS))


@functools.lru_cache(maxsize=64)
def _covariances(shots: tuple[float, ...], at: tuple[float, ...]) -> Float[np.ndarray, "n_components n n"]:
    """Prior covariance of the curve at evaluated and wanted numbers of shots, for each decay and drift."""
    x = np.log(np.array([*shots, *at]))
    order = np.argsort(x, kind="stable")
    back = np.argsort(order)
    found = [_covariance(x[order], decay, drift) for decay in _DECAYS for drift in _DRIFTS]
    return np.stack(found)[:, back[:, None], back]


def _covariance(x: Float[np.ndarray, " n"], decay: float, drift: float) -> Float[np.ndarray, "n n"]:
    """Covariance of the level at ascending places, by the exact transition of (level, slope) from each place to the next.

    Over a step h, level += (1 - e) / decay * slope and slope *= e with e = exp(-decay h). The noise's covariance is the integral
    of (g, e)(g, e)^T drift^2 over the step, g(s) = (1 - exp(-decay s)) / decay.
    """
    state = np.diag([_LEVEL**2, _SLOPE**2])
    steps, states = [np.eye(2)], [state]
    for h in np.diff(x):
        e = np.exp(-decay * h)
        g = (1 - e) / decay
        twice = (1 - e * e) / (2 * decay)
        noise = np.array([[(h - 2 * g + twice) / decay**2, (g - twice) / decay], [(g - twice) / decay, twice]])
        step = np.array([[1, g], [0, e]])
        state = step @ state @ step.T + drift**2 * noise
        steps.append(step)
        states.append(state)
    n = len(x)
    covariance = np.empty((n, n))
    for first in range(n):
        later = states[first]
        for second in range(first, n):
            later = steps[second] @ later if second > first else later
            covariance[first, second] = covariance[second, first] = later[0, 0]
    return covariance
