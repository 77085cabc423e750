"""Fit heads in float64 with NumPy, at a known strength, for the many fits with clips left out.

The solutions are those of `jfewshot.classifiers`, whose problems are strictly convex. The compiled solvers would be compiled
again for each number of clips.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special

from jfewshot.heads.head import neighbour_scores

_TINY = 1e-30


def scores_without(
    gram: Float[np.ndarray, "n n"],
    labels: Int[np.ndarray, " n"],
    left: Int[np.ndarray, " left"],
    kind: tuple[str, Any, float | None],
) -> Float[np.ndarray, "left classes"]:
    """Scores of some clips by the head that is fitted on all others.

    Args:
      gram: inner products of all clips, relative to one origin, float64.
      labels: class number of each clip; the classes of the remaining clips are numbered from 0 without gaps.
      left: the clips to leave out; their labels are not used.
      kind: name of the classifier, its settings, and its strength.

    Returns:
      one score per clip and class.
    """
    name, settings, strength = kind
    kept = np.setdiff1d(np.arange(len(labels)), left)
    own, between = labels[kept], gram[np.ix_(left, kept)]
    n_classes = int(own.max()) + 1
    if name == "knn":
        return neighbour_scores(closeness(between, np.diag(gram)[kept], settings), own, n_classes, settings["k"])
    if name in ("logistic", "svm"):
        assert strength is not None
        anywhere = np.zeros_like(labels)
        anywhere[kept] = own
        return Descent(gram, anywhere, n_classes, name, strength).scores_without(left)
    alpha, bias = fit(gram[np.ix_(kept, kept)], own, n_classes, (name, settings, strength))
    return between @ alpha + bias


def closeness(
    products: Float[np.ndarray, "rows clips"], squares: Float[np.ndarray, " clips"], settings: Any
) -> Float[np.ndarray, "rows clips"]:
    """How close embeddings are to clips, by the measure of `knn`.

    Args:
      products: inner products.
      squares: squared length of each clip.
      settings: of the classifier: `metric`.

    Returns:
      larger numbers for closer clips.
    """
    if settings["metric"] == "euclidean":
        return products - 0.5 * squares
    return products / np.sqrt(np.maximum(squares, _TINY))


def fit(
    gram: Float[np.ndarray, "n n"],
    labels: Int[np.ndarray, " n"],
    n_classes: int,
    kind: tuple[str, Any, float | None],
) -> tuple[Float[np.ndarray, "n classes"], Float[np.ndarray, " classes"]]:
    """Fit a linear head.

    Args:
      gram: inner products of the clips.
      labels: class number of each clip.
      n_classes: how many classes there are.
      kind: `ridge` or `centroid`, its settings, and its strength.

    Returns:
      coefficients on the clips, and a bias per class.
    """
    name, settings, strength = kind
    one_hot = np.eye(n_classes)[labels]
    if name == "centroid":
        return _centroid(gram, one_hot, settings["metric"])
    assert strength is not None
    if name == "ridge":
        inverse, centred = ridge_inverse(gram, strength)
        target = 2 * one_hot - 1
        return centred @ target, inverse.sum(0) @ target / inverse.sum()
    raise ValueError(f"{name} is fitted by Descent")


def ridge_inverse(
    gram: Float[np.ndarray, "n n"], alpha: float
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """(K + alpha I)^-1, and the same with the free intercept eliminated: G - G 1 1^T G / 1^T G 1.

    Args:
      gram: K.
      alpha: the penalty.
    """
    inverse = np.linalg.inv(gram + alpha * np.eye(len(gram)))
    sums = inverse.sum(0)
    return inverse, inverse - np.outer(sums, sums) / sums.sum()


def _centroid(gram, one_hot, metric):
    means = one_hot / one_hot.sum(0)
    squares = np.einsum("nc,nm,mc->c", means, gram, means, optimize=True)
    if metric == "euclidean":
        return means, -0.5 * squares
    return means / np.sqrt(np.maximum(squares, _TINY)), np.zeros(len(squares))


class Descent:
    """Fits `logistic` or `svm` on some of the clips; each fit starts from the last solution.

    Weights are sought in the span of the clips by L-BFGS (Liu and Nocedal, 1989).

    Args:
      gram: inner products of all clips.
      labels: class number of each clip.
      n_classes: how many classes there are.
      name: `logistic` or `svm`.
      strength: C.
    """

    def __init__(
        self, gram: Float[np.ndarray, "n n"], labels: Int[np.ndarray, " n"], n_classes: int, name: str, strength: float
    ):
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-10 * max(values.max(), _TINY)
        # Multiplied with its transpose, this is the Gram matrix. The last column is the intercept.
        self.points = np.column_stack([vectors[:, kept] * np.sqrt(values[kept]), np.ones(len(gram))])
        self._labels, self._n_classes, self._name = labels, n_classes, name
        self._penalty = (2.0 if n_classes == 2 and name == "logistic" else 1.0) / strength
        self._last = np.zeros((self.points.shape[1], n_classes))

    def scores_without(self, left: Int[np.ndarray, " left"]) -> Float[np.ndarray, "left classes"]:
        """Scores of some clips by the head that is fitted on all others, which must include every class."""
        kept = np.delete(np.arange(len(self._labels)), left)
        # The next fit, on nearly the same clips, starts where this one ends.
        self._last = self._weights(kept, self._last)
        return self.points[left] @ self._last

    def _weights(self, kept, start):
        points, one_hot = self.points[kept], np.eye(self._n_classes)[self._labels[kept]]
        sign = 2 * one_hot - 1
        penalised = np.ones((points.shape[1], 1))
        penalised[-1] = self._name == "svm"  # as LinearSVC, which counts the intercept among the weights

        def loss(flat):
            weights = flat.reshape(-1, self._n_classes)
            z = points @ weights
            if self._name == "logistic":
                value = special.logsumexp(z, 1).sum() - (z * one_hot).sum()
                slope = special.softmax(z, 1) - one_hot
            else:
                short = np.maximum(1 - sign * z, 0)
                value, slope = (short**2).sum(), -2 * sign * short
            held = self._penalty * penalised * weights
            return value + 0.5 * (held * weights).sum(), (points.T @ slope + held).ravel()

        limits = {"maxiter": 3000, "maxfun": 6000, "gtol": 1e-5, "ftol": 1e-15}
        found = optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=limits)
        return found.x.reshape(-1, self._n_classes)
