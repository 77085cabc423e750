"""The directions that an embedding space uses: variances along the principal directions, effective rank, mean cosine."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.threads import one_blas_thread

_ROWS_AT_ONCE = 4096
_SMALL = 1500  # matrices up to this size are decomposed by one thread, which is faster on busy cores
_LEAST_VARIANCE = 1e-10  # as a share of the largest; coordinates along smaller directions are rounding errors


class Principal(NamedTuple):
    """The principal directions of centred embeddings, the one with the largest variance first.

    Attributes:
      variances: variances along the directions: min(dim, n - 1) numbers, the eigenvalues of the covariance, none below
          0.
      coordinates: coordinates of each clip along the directions with a variance, with columns of length 1; float32.
    """

    variances: Float[np.ndarray, " rank"]
    coordinates: Float[np.ndarray, "n used"]


def principal(x: Float[np.ndarray, "n dim"]) -> Principal:
    """Decompose centred embeddings.

    The smaller of the covariance (dim x dim) and the Gram matrix (n x n) is decomposed in float64; both have the same
    eigenvalues. Takes n dim min(n, dim) multiplications.

    Args:
      x: one row for each clip, two clips or more.

    Returns:
      variances and coordinates.
    """
    n, dim = x.shape
    x = centred(x)
    wide = dim > n
    product = cross_products(x.T, x.T, np.float64) if wide else cross_products(x, x, np.float64)
    if len(product) <= _SMALL:
        with one_blas_thread():
            squares, vectors = np.linalg.eigh(product)
    else:
        squares, vectors = np.linalg.eigh(product)
    rank = min(dim, n - 1)
    squares, vectors = np.maximum(squares[::-1][:rank], 0.0), vectors[:, ::-1][:, :rank]
    used = squares > _LEAST_VARIANCE * squares.max(initial=0.0)
    if wide:
        return Principal(squares / n, vectors[:, used].astype(np.float32))
    directions = vectors[:, used] / np.sqrt(squares[used])
    blocks = [x[start : start + _ROWS_AT_ONCE] @ directions for start in range(0, n, _ROWS_AT_ONCE)]
    return Principal(squares / n, np.concatenate([block.astype(np.float32) for block in blocks]))


def cross_products(
    x: Float[np.ndarray, "n dim_x"], y: Float[np.ndarray, "n dim_y"], dtype: Any = None
) -> Float[np.ndarray, "dim_x dim_y"]:
    """The matrix x'y, with sums over blocks of rows in float64.

    Args:
      x: one row for each clip.
      y: one row for each of the same clips.
      dtype: precision of the products within a block; None for that of the arrays.

    Returns:
      float64.
    """
    found = np.zeros((x.shape[1], y.shape[1]))
    for start in range(0, len(x), _ROWS_AT_ONCE):
        a, b = (np.asarray(each[start : start + _ROWS_AT_ONCE], dtype) for each in (x, y))
        found += a.T @ b
    return found


def centred(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    """Subtract the mean of embeddings, in their own precision.

    Args:
      x: one row for each clip.
    """
    return x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)


def effective_rank(spectrum: Float[np.ndarray, " rank"]) -> float:
    """Effective rank (Roy and Vetterli, EUSIPCO 2007): the exponential of the entropy of the singular values.

    exp(-sum p_i ln p_i) with p_i = s_i / sum s, where s are the singular values of the centred embeddings, the square roots of
    the variances. The effective rank of r directions of equal variance is r.

    Args:
      spectrum: variances along the principal directions, from `principal` or `variances_of`.

    Returns:
      the effective rank; 0 if all embeddings are equal.
    """
    singular = np.sqrt(spectrum)
    if not singular.sum() > 0:
        return 0.0
    shares = singular / singular.sum()
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def variances_of(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " rank"]:
    """Variances along the principal directions of few embeddings, by their singular values in float64.

    This is slower than `principal`, and as exact for small variances as for large ones.

    Args:
      x: one row for each clip.

    Returns:
      min(n, dim) variances, the largest first.
    """
    return np.square(np.linalg.svd(centred(np.asarray(x, np.float64)), compute_uv=False)) / len(x)


def directions_for(spectrum: Float[np.ndarray, " rank"], share: float) -> int:
    """How many principal directions hold a share of the variance.

    Args:
      spectrum: `variances` of `principal`.
      share: 0-1.

    Returns:
      the smallest number; 0 if there is no variance.
    """
    total = spectrum.sum()
    if not total > 0:
        return 0
    # A share that is reached except for rounding counts as reached.
    return int(np.searchsorted(np.cumsum(spectrum) / total, share - 1e-9) + 1)


def mean_cosine(x: Float[np.ndarray, "n dim"]) -> float:
    """Mean cosine between two different clips: the anisotropy of Ethayarajh (EMNLP 2019).

    Over all pairs it is (|sum x|^2 - n) / (n (n - 1)) for embeddings of unit length, so the pairs are not computed one
    by one. It is 0 if the directions are spread evenly, and near 1 if all embeddings share one direction.

    Args:
      x: of unit length, one row for each clip.

    Returns:
      the mean, -1 to 1; NaN for fewer than two clips.
    """
    n = len(x)
    if n < 2:
        return float("nan")
    total = x.sum(axis=0, dtype=np.float64)
    squares = np.square(x, dtype=np.float64).sum()
    return float((total @ total - squares) / (n * (n - 1)))
