"""Find near-duplicate clips of different classes or groups: most likely one recording twice, altered or shifted in time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jfewshot.store.diagnostics.neighbours import product_blocks
from jfewshot.store.diagnostics.spectrum import Principal

# docs/diagnostics.md describes how these thresholds were chosen, and what they find.
STRENGTH = 5.0
LEAST_CLIPS = 20  # with fewer clips, the usual distances to neighbours cannot be estimated
_SHRINKAGE = 0.1
_SCALE_NEIGHBOUR = 5
_CANDIDATES = 5  # for each clip and encoder
_LEAST_DEVIATION = 0.01  # smallest median absolute deviation of ratios; on the samples it is at least 0.02
_LEAST_SCALE = 0.01  # smallest distance to the fifth neighbour; with five copies of a clip it would be zero


class NearCopies(NamedTuple):
    """Pairs of near-duplicate clips, the most similar first.

    Attributes:
      first: index of one clip of each pair.
      second: index of the other clip.
      strength: mean of the two largest numbers of deviations over the encoders; for a single encoder its number.
    """

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    strength: Float[np.ndarray, " pairs"]


def find_near_copies(searches: Sequence["CopySearch"]) -> NearCopies:
    """Find clips of different classes or groups that are nearly the same recording.

    1. Embeddings are whitened with a shrinkage of 0.1 and scaled to unit length: properties that most clips share then
       count less.
    2. Distances are scaled locally (Zelnik-Manor and Perona, NIPS 2004): d_ij / sqrt(s_i s_j), s the distance to the 5th
       neighbour.
    3. For each clip the smallest such ratio across classes or groups is found. A pair's ratio is expressed in median
       absolute deviations below the median of these ratios, since the usual ratio differs between encoders and datasets.
    4. The mean of the two largest of these numbers over the encoders is the strength of a pair. Two encoders have to
       find the pair unusual; not all encoders are required, because an encoder may ignore the properties that make a
       recording unique. A single encoder decides alone.
    5. A pair is reported if each clip is the other's strongest partner, and if the strength is 5 or more.

    Args:
      searches: one search for each encoder, over the same clips.

    Returns:
      the pairs; none for fewer than 20 clips.
    """
    nothing = np.zeros(0, np.int64)
    n = len(searches[0]) if searches else 0
    if n < LEAST_CLIPS:
        return NearCopies(nothing, nothing, np.zeros(0))
    both = np.unique(np.sort(np.concatenate([search.candidates for search in searches]), axis=1), axis=0)
    first, second = both[:, 0], both[:, 1]
    numbers = np.sort(np.stack([search.deviations(first, second) for search in searches]), axis=0)[::-1]
    strength = numbers[:2].mean(axis=0)
    best = np.full(n, -np.inf)
    np.maximum.at(best, first, strength)
    np.maximum.at(best, second, strength)
    kept = np.flatnonzero((strength >= STRENGTH) & (strength >= best[first]) & (strength >= best[second]))
    kept = kept[np.argsort(-strength[kept], kind="stable")]
    return NearCopies(first[kept], second[kept], strength[kept])


def whitened(axes: Principal, shrinkage: float = _SHRINKAGE) -> Float[np.ndarray, "n used"]:
    """Centred embeddings with their principal directions scaled to about equal variance, and then to unit length.

    Each direction is divided by sqrt(v + shrinkage * mean of v), where v are the variances.

    Args:
      axes: the principal directions of the embeddings.
      shrinkage: share of the mean variance that is added to each variance.

    Returns:
      float32; a row without any direction is zero.
    """
    used = axes.variances[: axes.coordinates.shape[1]]
    scale = np.sqrt(used / (used + shrinkage * axes.variances.mean()))
    found = axes.coordinates * scale.astype(np.float32)
    norm = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, norm, out=np.zeros_like(found), where=norm > 0)


class CopySearch:
    """One encoder's whitened embeddings, and the usual distances to neighbours.

    Takes 2 n^2 dim multiplications. Memory: the whitened embeddings, which are kept, and a few blocks of products.

    Args:
      axes: the principal directions of the embeddings.
      classes: number of each clip's class.
      groups: number of each clip's group; clips of unknown group have numbers of their own.

    Attributes:
      candidates: pairs of clips across classes or groups: each clip with its most similar ones.
    """

    def __init__(self, axes: Principal, classes: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"]):
        self._x = whitened(axes)
        n = len(self._x)
        scale = np.empty(n)
        nth = min(_SCALE_NEIGHBOUR, n - 1)
        for start, products in product_blocks(self._x):
            rows = np.arange(len(products))
            products[rows, start + rows] = -np.inf
            scale[start + rows] = np.partition(products, -nth, axis=1)[:, -nth]
        self._scale = np.sqrt(np.maximum(_distance(scale), _LEAST_SCALE)).astype(self._x.dtype)
        most = min(_CANDIDATES, n - 1)
        smallest = np.empty(n)
        pairs = []
        for start, products in product_blocks(self._x):
            rows = start + np.arange(len(products))
            ratio = _distance(products) / self._scale[rows, None] / self._scale
            ratio[~_across(classes, groups, rows)] = np.inf
            near = np.argpartition(ratio, most - 1, axis=1)[:, :most]
            ratios = np.take_along_axis(ratio, near, axis=1)
            smallest[rows] = ratios.min(axis=1)
            allowed = np.isfinite(ratios)
            pairs.append(np.stack([np.repeat(rows, most)[allowed.ravel()], near[allowed]], axis=1))
        self.candidates = np.concatenate(pairs)
        usual = smallest[np.isfinite(smallest)]
        self._median = float(np.median(usual)) if len(usual) else 0.0
        spread = float(np.median(np.abs(usual - self._median))) if len(usual) else 0.0
        self._deviation = max(spread, _LEAST_DEVIATION)

    def __len__(self) -> int:
        return len(self._x)

    def deviations(
        self, first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"]
    ) -> Float[np.ndarray, " pairs"]:
        """How many median absolute deviations the ratio of each pair is below the median ratio.

        Args:
          first: index of one clip of each pair.
          second: index of the other clip.
        """
        found = np.empty(len(first))
        for start in range(0, len(first), 65_536):
            a, b = first[start : start + 65_536], second[start : start + 65_536]
            products = np.einsum("ij,ij->i", self._x[a], self._x[b])
            ratio = _distance(products) / self._scale[a] / self._scale[b]
            found[start : start + 65_536] = (self._median - ratio) / self._deviation
        return found


def _distance(products: np.ndarray) -> np.ndarray:
    """Euclidean distances of unit vectors with these inner products."""
    return np.sqrt(np.maximum(2 - 2 * products, 0))


def _across(classes: np.ndarray, groups: np.ndarray, rows: np.ndarray) -> Bool[np.ndarray, "rows n"]:
    return (classes[rows, None] != classes) | (groups[rows, None] != groups)
