"""Nearest neighbours in blocks of rows, and hubness, which is large if a few clips are neighbours of very many others."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_BLOCK_BYTES = 32 * 2**20  # size of a block of products
# Radovanovic et al. use 10 neighbours throughout.
NEIGHBOURS = 10


class Hubness(NamedTuple):
    """How unequally often clips are neighbours of other clips.

    Attributes:
      skewness: skewness of the k-occurrence.
      never: share of the clips that are not a neighbour of any clip.
      largest: share of all other clips that have the largest hub among their neighbours.
    """

    skewness: float
    never: float
    largest: float


def product_blocks(
    x: Float[np.ndarray, "n dim"], block_bytes: int = _BLOCK_BYTES
) -> Iterator[tuple[int, Float[np.ndarray, "rows n"]]]:
    """The inner products of all pairs of clips, a block of rows at a time.

    Args:
      x: one row for each clip.
      block_bytes: largest size of a block.

    Yields:
      the number of the block's first row, and the products of its rows with all rows.
    """
    at_once = max(1, block_bytes // max(len(x) * x.itemsize, 1))
    for start in range(0, len(x), at_once):
        yield start, x[start : start + at_once] @ x.T


def nearest_neighbours(x: Float[np.ndarray, "n dim"], k: int) -> Int[np.ndarray, "n k"]:
    """The k other clips with the highest inner product, for each clip, not sorted.

    Takes n^2 dim multiplications and memory for one block of `product_blocks`.

    Args:
      x: embeddings of unit length, one row for each clip.
      k: number of neighbours, fewer than clips.

    Returns:
      indices of clips.
    """
    found = np.empty((len(x), k), np.int64)
    for start, products in product_blocks(x):
        rows = np.arange(len(products))
        products[rows, start + rows] = -np.inf
        found[start : start + len(products)] = np.argpartition(products, -k, axis=1)[:, -k:]
    return found


def hubness(neighbours: Int[np.ndarray, "n k"]) -> Hubness:
    """Hubness of a space (Radovanovic, Nanopoulos and Ivanovic, JMLR 2010, eq. 1).

    N_k of a clip, its k-occurrence, counts the clips that have it among their k nearest neighbours; its mean is k. The
    measure is the skewness of N_k, E(N_k - mean)^3 / std^3. It is 0 if all clips are neighbours equally often, and
    grows with the dimension of the data. If it is large, hubs are neighbours of very many clips, and most clips of no
    clip.

    Args:
      neighbours: from `nearest_neighbours`.

    Returns:
      skewness (0 if all clips occur equally often), the share of clips that never occur, and the share of clips that
      have the largest hub as a neighbour.
    """
    n = len(neighbours)
    occurs = np.bincount(neighbours.ravel(), minlength=n).astype(np.float64)
    apart = occurs - occurs.mean()
    deviation = np.sqrt(np.mean(apart**2))
    skewness = float(np.mean(apart**3) / deviation**3) if deviation > 0 else 0.0
    return Hubness(skewness, float(np.mean(occurs == 0)), float(occurs.max() / (n - 1)))
