"""Similarity of the spaces of two encoders: linear CKA over the same clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.store.diagnostics.spectrum import centred, cross_products


class _Sums(NamedTuple):
    """The sums that CKA needs of two spaces: |x'y|^2, and the sums over the clips of a_i = |x_i|^2, b_i = |y_i|^2 and a_i b_i."""

    products: float
    a: float
    b: float
    both: float


def linear_cka(x: Float[np.ndarray, "n dim_x"], y: Float[np.ndarray, "n dim_y"]) -> float:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019).

    |x'y|^2 / (|x'x| |y'y|) with Frobenius norms and centred columns. It is 1 for spaces that are equal up to rotation
    and scale. It is biased upwards if there are few clips and many dimensions: two spaces of independent noise with 300
    dimensions reach about 0.5 on 300 clips. `debiased_cka` has no such bias.

    Args:
      x: embeddings by one encoder, one row for each clip.
      y: embeddings of the same clips by another encoder.

    Returns:
      0 to 1; NaN if all embeddings of one encoder are equal.
    """
    return float(similarities([x, y])[0][0, 1])


def debiased_cka(x: Float[np.ndarray, "n dim_x"], y: Float[np.ndarray, "n dim_y"]) -> float:
    """Linear CKA with the unbiased HSIC (Song et al., JMLR 2012, eq. 5; Nguyen, Raghu and Kornblith, ICLR 2021, eq. 3).

    HSIC_1 leaves out the products of clips with themselves. With centred columns, a_i = |x_i|^2 and b_i = |y_i|^2, it is
    n (n - 3) HSIC_1 = |x'y|^2 - sum a_i b_i + sum a sum b / ((n - 1) (n - 2)) - 2 / (n - 2) sum a_i b_i, so that no n x n
    matrix is needed. CKA is HSIC_1(x, y) / sqrt(HSIC_1(x, x) HSIC_1(y, y)).

    Args:
      x: embeddings by one encoder, one row for each clip, four clips or more.
      y: embeddings of the same clips by another encoder.

    Returns:
      near 0 for independent spaces (or a little below), 1 for equal ones; NaN for fewer than four clips, or if the HSIC
      of one encoder with itself is not positive.
    """
    return float(similarities([x, y])[1][0, 1])


def similarities(
    spaces: Sequence[Float[np.ndarray, "n _"]],
) -> tuple[Float[np.ndarray, "spaces spaces"], Float[np.ndarray, "spaces spaces"]]:
    """Linear CKA and debiased CKA of every two spaces, from one product for each pair.

    Args:
      spaces: embeddings of the same clips by each encoder.

    Returns:
      both matrices.
    """
    spaces = [centred(x) for x in spaces]
    n, count = (len(spaces[0]) if spaces else 0), len(spaces)
    linear, unbiased = np.full((2, count, count), np.nan)
    for one in range(count):
        for other in range(one, count):
            sums = _sums(spaces[one], spaces[other])
            linear[one, other] = linear[other, one] = sums.products
            unbiased[one, other] = unbiased[other, one] = _hsic(sums, n) if n > 3 else np.nan
    return _scaled(linear), _scaled(unbiased)


def _sums(x: np.ndarray, y: np.ndarray) -> _Sums:
    a, b = (np.square(each, dtype=np.float64).sum(axis=1) for each in (x, y))
    return _Sums(float(np.square(cross_products(x, y)).sum()), float(a.sum()), float(b.sum()), float(a @ b))


def _hsic(sums: _Sums, n: int) -> float:
    """n (n - 3) times the unbiased HSIC of n clips."""
    return sums.products - sums.both + sums.a * sums.b / ((n - 1) * (n - 2)) - 2 * sums.both / (n - 2)


def _scaled(found: np.ndarray) -> np.ndarray:
    own = np.diag(found)
    own = np.sqrt(np.where(own > 0, own, np.nan))
    return found / own[:, None] / own
