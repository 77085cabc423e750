"""Train classifiers on all labels of some classes, with any number of clips in each class, in float64 NumPy.

The compiled classifiers require equally many supports in each class, as in few-shot episodes. The last point of a curve
over shots, "all labels", is one fit for each set of classes, and these classes have different numbers of clips. The
definitions of the classifiers are the same.

`logistic` is solved by Newton's method. With the supports' mean subtracted, X = U diag(s) V^T, and weights are written
in the basis V. A Newton step's system is solved by conjugate gradients with the preconditioner 1 / (penalty + d s^2), d
the mean curvature of the loss: it undoes the spectrum of the embeddings, which is what makes large C slow.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jfewshot.classifiers.centroid import Centroid
from jfewshot.classifiers.kernels import wants_squared_lengths
from jfewshot.classifiers.knn import KNN
from jfewshot.classifiers.logistic import CURVATURE_LOST, Logistic
from jfewshot.classifiers.ridge import Ridge
from jfewshot.classifiers.specs import AUTO, ClassifierSpec, StrengthValue
from jfewshot.errors import UserError

# The largest element of the gradient for each support at which `logistic` ends.
TOLERANCE = 1e-10
_MOST_STEPS, _MOST_PRODUCTS = 100, 300
_FORCING = 0.05  # largest relative residual of a Newton step's linear system; smaller near the end
_OF_SPREAD = 0.2  # as in classifiers/leave_one_out.py
_TINY = 1e-30
_BLOCK = 2048  # queries whose distances from all supports are held at once


class Fit(NamedTuple):
    """The scores and diagnostics of a classifier that was trained on all labels.

    Attributes:
      scores: of each query for each class.
      residual: the largest element of the gradient for each support; NaN for `centroid` and `knn`.
      iterations: Newton steps, 1 for `ridge`; NaN for `centroid` and `knn`.
      chosen: place in the grid of the strength that was chosen; None where the strength was given.
    """

    scores: Float[np.ndarray, "n_query n_way"]
    residual: float
    iterations: float
    chosen: int | None


class _Basis(NamedTuple):
    """The supports' embeddings without their mean, in the basis of their right singular vectors.

    Attributes:
      mean: of the embeddings.
      u: left singular vectors, one per column.
      s: singular values, descending.
      v: right singular vectors, one per row.
    """

    mean: Float[np.ndarray, " dim"]
    u: Float[np.ndarray, "n_support rank"]
    s: Float[np.ndarray, " rank"]
    v: Float[np.ndarray, "rank dim"]


def check_classifier(spec: ClassifierSpec) -> None:
    """Refuse a classifier that is not trained on all labels.

    Args:
      spec: the classifier.

    Raises:
      UserError: for any but `logistic`, `ridge`, `centroid` and `knn`, and for these with a kernel.
    """
    if wants_squared_lengths(spec.classifier):
        raise UserError(
            f"--shots all trains on embeddings, and not on a kernel; leave out kernel of '{spec.name}', or all"
        )
    if not isinstance(spec.classifier, Logistic | Ridge | Centroid | KNN):
        raise UserError(
            f"--shots all trains on classes of unequal size, which '{spec.name}' does not; choose from logistic, ridge, centroid "
            "and knn, or leave out all"
        )


def fit_and_score(
    support: Float[np.ndarray, "n_support dim"],
    labels: Int[np.ndarray, " n_support"],
    query: Float[np.ndarray, "n_query dim"],
    n_way: int,
    spec: ClassifierSpec,
    strength: StrengthValue,
) -> Fit:
    """Train a classifier on all supports of some classes and score queries.

    Args:
      support: embeddings, float64.
      labels: class of each support, 0 to n_way - 1; each class has at least one.
      query: embeddings to score.
      n_way: number of classes.
      spec: the classifier.
      strength: one of its strengths.

    Returns:
      the scores, and how well the solver did.
    """
    classifier: Any = spec.classifier
    nothing = float("nan")
    if isinstance(classifier, Centroid):
        return Fit(_centroid_scores(support, labels, query, n_way, classifier.metric), nothing, nothing, None)
    if isinstance(classifier, KNN):
        return Fit(_neighbour_scores(support, labels, query, n_way, classifier), nothing, nothing, None)
    basis = _basis(support)
    target = np.eye(n_way)[labels]
    chosen = _choose(classifier, basis, target) if strength == AUTO else None
    value = float(classifier.strength.grid[chosen] if chosen is not None else strength)  # type: ignore[arg-type]
    if isinstance(classifier, Ridge):
        right = 2 * target - 1
        weights = (basis.s / (basis.s**2 + value))[:, None] * (basis.u.T @ right)
        x = basis.u * basis.s
        left = x.T @ (x @ weights - right) + value * weights
        residual = float(np.abs(left).max(initial=0.0) / len(right))
        return Fit(_scores(basis, weights, right.mean(axis=0), query), residual, 1.0, chosen)
    penalty = (2.0 if n_way == 2 else 1.0) / value
    weights, bias, residual, steps = _logistic(basis.u * basis.s, basis.s, target, penalty)
    return Fit(_scores(basis, weights, bias, query), residual, float(steps), chosen)


def _basis(support: Float[np.ndarray, "n_support dim"]) -> _Basis:
    mean = support.mean(axis=0)
    u, s, v = np.linalg.svd(support - mean, full_matrices=False)
    known = s > max(support.shape) * np.finfo(np.float64).eps * max(float(s[0]), _TINY)
    return _Basis(mean, u[:, known], s[known], v[known])


def _scores(
    basis: _Basis, weights: Float[np.ndarray, "rank n_way"], bias: Float[np.ndarray, " n_way"], query: np.ndarray
) -> Float[np.ndarray, "n_query n_way"]:
    return (query - basis.mean) @ (basis.v.T @ weights) + bias


def _logistic(
    x: Float[np.ndarray, "n_support rank"],
    s: Float[np.ndarray, " rank"],
    target: Float[np.ndarray, "n_support n_way"],
    penalty: float,
) -> tuple[Float[np.ndarray, "rank n_way"], Float[np.ndarray, " n_way"], float, int]:
    """Weights, intercepts, the largest element of the gradient for each support, and Newton steps.

    The last row of the unknowns are the intercepts, which have no penalty.
    """
    n, n_way = target.shape
    with_one = np.concatenate([x, np.ones((n, 1))], axis=1)
    free = np.append(np.full(len(s), penalty), 0.0)[:, None]
    spectrum = np.append(s**2, n)[:, None]
    unknown = np.zeros((len(s) + 1, n_way))

    def value_at(unknown: np.ndarray) -> tuple[float, np.ndarray]:
        z = with_one @ unknown
        top = z.max(axis=1, keepdims=True)
        e = np.exp(z - top)
        total = e.sum(axis=1, keepdims=True)
        loss = (top + np.log(total))[:, 0] - (z * target).sum(axis=1)
        return float(loss.sum() + 0.5 * (free * unknown**2).sum()), e / total

    value, p = value_at(unknown)
    residual = np.inf
    for step in range(_MOST_STEPS):
        error = (p - target) * (
            1 - target
        )  # the own class's element is minus the sum of the others, which avoids cancellation
        error -= target * error.sum(axis=1, keepdims=True)
        gradient = with_one.T @ error + free * unknown
        residual = float(np.abs(gradient).max() / n)
        if residual <= TOLERANCE:
            return unknown[:-1], unknown[-1], residual, step
        curvature = max(float((p * (1 - p)).mean()), 1e-12)
        scale = 1 / (free + curvature * spectrum)

        def hessian(d: np.ndarray, p: np.ndarray = p) -> np.ndarray:
            moved = p * (with_one @ d)
            return with_one.T @ (moved - p * moved.sum(axis=1, keepdims=True)) + free * d

        goal = min(_FORCING, np.sqrt(residual))
        direction = _conjugate_gradients(hessian, scale, -gradient, goal)
        slope, size = float((gradient * direction).sum()), 1.0
        while True:
            trial = unknown + size * direction
            there, p_there = value_at(trial)
            if there <= value + 1e-4 * size * slope + 1e-13 * abs(value) or size < 1e-6:
                break
            size *= 0.5
        unknown, value, p = trial, there, p_there
    return unknown[:-1], unknown[-1], residual, _MOST_STEPS


def _conjugate_gradients(product: Any, scale: np.ndarray, right: np.ndarray, goal: float) -> np.ndarray:
    """Solve a symmetric, positive semi-definite system to a share of its right-hand side, with a diagonal preconditioner."""
    x, r = np.zeros_like(right), right.copy()
    z = scale * r
    p, rz = z.copy(), float((r * z).sum())
    end = goal**2 * rz
    for _ in range(_MOST_PRODUCTS):
        q = product(p)
        a = rz / max(float((p * q).sum()), _TINY)
        x += a * p
        r -= a * q
        z = scale * r
        before, rz = rz, float((r * z).sum())
        if rz <= end:
            break
        p = z + rz / before * p
    return x


def _choose(classifier: Logistic | Ridge, basis: _Basis, target: Float[np.ndarray, "n_support n_way"]) -> int:
    """Choose a strength by leave-one-out as in classifiers/leave_one_out.py, for unequal classes; returns its grid index.

    The eigenvectors of the centred Gram matrix beyond the embeddings' rank have eigenvalue 0, so they are counted
    without being computed.
    """
    kind = classifier.strength
    assert kind is not None
    n, n_way = target.shape
    is_logistic = isinstance(classifier, Logistic)
    grid = np.array(kind.grid)
    penalties = CURVATURE_LOST * n_way / grid if is_logistic else grid
    one_shot = float(n_way) if is_logistic else 1.0
    single = n == n_way
    rule = max((basis.s**2).sum() / n * (one_shot if single else _OF_SPREAD), _TINY)
    doubt = 0.5 * (np.log10(penalties) - np.log10(rule)) ** 2
    if single:
        return int(doubt.argmin())
    labels = target - target.mean(axis=0)
    rotated, squares = basis.u.T @ labels, basis.u**2
    criterion = []
    for penalty, own_doubt in zip(penalties, doubt, strict=True):
        shrunk = 1 / (basis.s**2 + penalty) - 1 / penalty
        coefficients = labels / penalty + basis.u @ (shrunk[:, None] * rotated)
        own = (1 - 1 / n) / penalty + squares @ shrunk
        missed = ((coefficients / np.maximum(own, _TINY)[:, None]) ** 2).mean()
        criterion.append(0.5 * n * np.log(max(missed, _TINY)) + own_doubt)
    return int(np.argmin(criterion))


def _centroid_scores(
    support: np.ndarray, labels: np.ndarray, query: np.ndarray, n_way: int, metric: str
) -> Float[np.ndarray, "n_query n_way"]:
    means = np.stack([support[labels == c].mean(axis=0) for c in range(n_way)])
    squares = (means**2).sum(axis=1)
    products = query @ means.T
    return products - 0.5 * squares if metric == "euclidean" else products / np.sqrt(np.maximum(squares, _TINY))


def _neighbour_scores(
    support: np.ndarray, labels: np.ndarray, query: np.ndarray, n_way: int, classifier: KNN
) -> Float[np.ndarray, "n_query n_way"]:
    if classifier.k > len(support):
        raise UserError(f"knn: k is {classifier.k}, but there are {len(support)} supports; lower k")
    squares = (support**2).sum(axis=1)
    parts = []
    for start in range(0, len(query), _BLOCK):
        products = query[start : start + _BLOCK] @ support.T
        euclidean = classifier.metric == "euclidean"
        closeness = products - 0.5 * squares if euclidean else products / np.sqrt(np.maximum(squares, _TINY))
        if classifier.k == 1:
            parts.append(np.stack([closeness[:, labels == c].max(axis=1) for c in range(n_way)], axis=1))
        else:
            # A stable sort takes the first ones among equals.
            nearest = labels[np.argsort(-closeness, axis=1, kind="stable")[:, : classifier.k]]
            parts.append(np.stack([(nearest == c).sum(axis=1) for c in range(n_way)], axis=1).astype(np.float64))
    return np.concatenate(parts)
