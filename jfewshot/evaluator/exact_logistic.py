"""Multinomial logistic regression in float64 for several problems of a few hundred supports at once (NumPy only).

The objective is that of scikit-learn's LogisticRegression: cross-entropy summed over the supports plus penalty / 2
|W|^2, the intercepts free. If embeddings have more dimensions than there are supports, only the inner products of the
supports matter: their Cholesky factor replaces the embeddings (`factor_of`), and the solution is a linear combination
of the supports.

The optimum is found by Newton's method with a line search. A step solves its system by conjugate gradients to a few
percent, in
float32: the next step corrects the error of float32, since gradients are float64. If that makes no progress, the
    following steps use
float64. The preconditioner replaces the curvature diag(p) - p p^T of each support by its mean over the classes, d: one
inverse of X^T d X + penalty, bordered by the intercept, serves all classes.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from scipy import linalg

Features = Float[np.ndarray, "problems n dim"]
Unknowns = Float[np.ndarray, "problems dim_and_one classes"]

# A problem is finished when the largest element of its gradient per support, divided by the largest error of a
# probability, is below this. (scikit-learn's `tol` does not divide.) Where classes are well separated, errors are 1e-3
# and less, and so is the curvature: the intercepts are then known to a thousandth of the digits that the gradient has.
TOLERANCE = 1e-10
_MOST_STEPS, _MOST_PRODUCTS, _MOST_HALVINGS = 100, 300, 30
_FORCING, _LEAST_FORCING = 0.1, 1e-3  # relative residual at which a step's linear system counts as solved
_LEAST_CURVATURE = 1e-9
_TINY = 1e-30


class Fitted(NamedTuple):
    """The solutions: the scores of a query are its features @ weights + bias.

    Attributes:
      weights: of each problem, dim x classes.
      bias: intercepts.
      residual: of each problem, the largest element of the gradient for each support, as a share of the largest error.
      steps: Newton steps of each problem.
    """

    weights: Float[np.ndarray, "problems dim classes"]
    bias: Float[np.ndarray, "problems classes"]
    residual: Float[np.ndarray, " problems"]
    steps: Float[np.ndarray, " problems"]


class _Point(NamedTuple):
    """The state of some problems: unknowns (weights, then intercepts), scores of the supports, objective, probabilities."""

    unknown: Unknowns
    z: Float[np.ndarray, "problems n classes"]
    value: Float[np.ndarray, " problems"]
    p: Float[np.ndarray, "problems n classes"]


def factor_of(gram: Float[np.ndarray, "problems n n"]) -> Features:
    """Features with given inner products.

    Args:
      gram: inner products of each problem's supports, float64.

    Returns:
      the Cholesky factor L, gram = L L^T, up to the rounding of `gram` itself.
    """
    n = gram.shape[1]
    # Equal supports make the matrix singular, and its rounding may make it indefinite by this much.
    rounding = 4 * n * np.finfo(np.float64).eps * np.trace(gram, axis1=1, axis2=2)
    shifted = gram.copy()
    shifted[:, np.arange(n), np.arange(n)] += np.maximum(rounding, _TINY)[:, None]
    return np.linalg.cholesky(shifted)


def coefficients_of(factor: Features, weights: Float[np.ndarray, "problems n classes"]) -> np.ndarray:
    """Convert weights for the Cholesky factor into coefficients on the supports.

    Args:
      factor: from `factor_of`.
      weights: of the solution.

    Returns:
      problems x n x classes: the scores of a query are its inner products with the supports @ these + bias.
    """
    return np.stack([linalg.solve_triangular(*one, trans="T", lower=True) for one in zip(factor, weights, strict=True)])


def fit_exactly(
    features: Features, labels: Integer[np.ndarray, "problems n"], n_classes: int, penalty: float
) -> Fitted:
    """Fit several problems of one size.

    Args:
      features: features of each problem's supports, relative to an origin near them, float64.
      labels: class of each support, 0 to n_classes - 1; each class has at least one.
      n_classes: number of classes.
      penalty: 1 / C; for two classes 2 / C, since scikit-learn has one weight vector for both.

    Returns:
      the solutions. A residual above `TOLERANCE` says that a problem did not converge.
    """
    problems, n, dim = features.shape
    x = np.concatenate([features, np.ones((problems, n, 1))], axis=2)
    target = np.eye(n_classes)[labels]
    free = np.append(np.full(dim, float(penalty)), 0.0)[:, None]
    unknown = np.zeros((problems, dim + 1, n_classes))
    # With all weights at zero, the best intercepts are the log frequencies of the classes.
    unknown[:, -1] = np.log(target.sum(axis=1) / n)
    found = Fitted(
        unknown[:, :-1].copy(),
        unknown[:, -1].copy(),
        np.full(problems, np.inf),
        np.zeros(problems),
    )
    left = np.arange(problems)
    at = _evaluated(unknown, x @ unknown, target, free)
    kind: Any = np.float32
    before = np.inf
    for step in range(_MOST_STEPS + 1):
        error = at.p * (
            1 - target[left]
        )  # the own class's element is minus the sum of the others, which avoids cancellation
        error -= target[left] * error.sum(axis=2, keepdims=True)
        gradient = x[left].swapaxes(1, 2) @ error + free * at.unknown
        size = np.abs(gradient).max(axis=(1, 2)) / (n * np.abs(error).max(axis=(1, 2)))
        done = (size <= TOLERANCE) | (step == _MOST_STEPS)
        if done.any():
            parts = at.unknown[done, :-1], at.unknown[done, -1], size[done], np.full(int(done.sum()), step)
            for kept, part in zip(found, parts, strict=True):
                kept[left[done]] = part
            if done.all():
                break
            left, gradient, size = left[~done], gradient[~done], size[~done]
            at = _Point(*(part[~done] for part in at))
        worst = float(size.max())
        if worst > 0.5 * before and worst < 1e-4:
            kind = np.float64
        before = worst
        at = _newton(x[left], target[left], free, at, gradient, size, kind)
    return found


def _evaluated(unknown: np.ndarray, z: np.ndarray, target: np.ndarray, free: np.ndarray) -> _Point:
    top = z.max(axis=2, keepdims=True)
    e = np.exp(z - top)
    total = e.sum(axis=2, keepdims=True)
    loss = (np.log(total) + top)[:, :, 0].sum(axis=1) - _inner(z, target)
    return _Point(unknown, z, loss + 0.5 * _inner(free * unknown, unknown), e / total)


def _newton(
    x: np.ndarray, target: np.ndarray, free: np.ndarray, at: _Point, gradient: np.ndarray, size: np.ndarray, kind: Any
) -> _Point:
    """One step of each problem."""
    forcing = min(_FORCING, max(_LEAST_FORCING, float(size.max())))
    scale = np.abs(gradient).max(axis=(1, 2))[:, None, None]
    step = _solved(x, free, at.p, -gradient / scale, forcing, kind) * scale
    moved = x @ step
    slope = _inner(gradient, step)
    length = np.ones(len(x))
    for _ in range(_MOST_HALVINGS):
        far = length[:, None, None]
        there = _evaluated(at.unknown + far * step, at.z + far * moved, target, free)
        rises = ~(there.value <= at.value + 1e-4 * length * slope + 1e-12 * np.abs(at.value))
        if not rises.any():
            break
        length = np.where(rises, 0.5 * length, length)
    return there


def _solved(
    x: np.ndarray, free: np.ndarray, p: np.ndarray, right: np.ndarray, forcing: float, kind: Any
) -> Float[np.ndarray, "problems dim_and_one classes"]:
    """Solve the Newton systems to a share of their right-hand sides."""
    curvature = np.maximum((p * (1 - p)).sum(axis=2) / max(p.shape[2] - 1, 1), _LEAST_CURVATURE)
    x, p, free, left, curvature = (part.astype(kind) for part in (x, p, free, right, curvature))
    across = np.ascontiguousarray(x.swapaxes(1, 2))
    near = across @ (curvature[:, :, None] * x)
    near[:, np.arange(len(free)), np.arange(len(free))] += free[:, 0]
    inverse = _inverse(near)
    found = np.zeros_like(left)
    toward = inverse @ left
    way, size = toward, _inner(left, toward)
    end = forcing**2 * size
    live = np.ones(len(x), bool)
    for _ in range(_MOST_PRODUCTS):
        weighted = p * (x @ way)
        weighted -= p * np.einsum("ijk->ij", weighted)[:, :, None]
        curved = across @ weighted + free * way
        energy = _inner(way, curved)
        length = np.where(live, size / np.maximum(energy, _TINY), 0).astype(kind)[:, None, None]
        found += length * way
        left -= length * curved
        toward = inverse @ left
        before, size = size, _inner(left, toward)
        live &= size > end
        if not live.any():
            break
        way = toward + np.where(live, size / np.maximum(before, _TINY), 0).astype(kind)[:, None, None] * way
    return found.astype(np.float64)


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """The inverse of symmetric positive definite matrices, by Cholesky, which takes a third of the time of
    `np.linalg.inv`."""
    factorise, invert = linalg.get_lapack_funcs(("potrf", "potri"), (matrices,))
    found = np.empty_like(matrices)
    for place, matrix in enumerate(matrices):
        factor, failed = factorise(matrix, lower=True, clean=False)
        if failed:  # rounding has made it indefinite
            found[place] = np.linalg.pinv(matrix.astype(np.float64), hermitian=True)
            continue
        half, _ = invert(factor, lower=True)
        found[place] = np.tril(half) + np.tril(half, -1).T
    return found


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ijk,ijk->i", a, b)
