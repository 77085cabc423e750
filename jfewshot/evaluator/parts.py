"""Fused views: the preprocessing of each part, and the sum of the parts' inner products.

An inner product of two concatenated embeddings is the sum of the parts' inner products. With each part scaled to unit length and
by the square root of its weight, that is the weighted mean of the parts' cosines. So no concatenation is needed: each part has a
source of its own (gram.py), and their blocks are added up.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float, Int

from jfewshot.errors import UserError
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.gram import Blocks, GramSource, Precomputed
from jfewshot.evaluator.preprocessing import Transform, aligned_zeros
from jfewshot.evaluator.programs import MOST_FUNCTIONS, PROGRAMS
from jfewshot.files import sha256_of_json
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedStore, FusedView
from jfewshot.store.reading import Store

_OF_UNIT_LENGTH = ("l2", "center_l2", "whiten_l2")


@dataclasses.dataclass(frozen=True, eq=False)
class FusedTransform:
    """The preprocessing of each part; each ends with unit length.

    Attributes:
      parts: the preprocessings, in the order of the parts.
      dims: numbers of an embedding of each part.
      shares: the parts' weights; None for weights that each episode chooses.
    """

    parts: tuple[Transform, ...]
    dims: tuple[int, ...]
    shares: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """Of the parts' preprocessing."""
        return self.parts[0].name

    def identity(self) -> dict[str, Any]:
        """The settings and statistics on which a result depends; the same form as of a single part."""
        own = self.parts[0].identity()
        labels = [part.statistics_from for part in self.parts]
        if len(set(labels)) > 1:
            # Statistics of one corpus stay comparable with those of single encoders, which are named CORPUS:DIGEST.
            corpora = {(label or "").rpartition(":")[0] for label in labels}
            digest = sha256_of_json(labels)
            corpus = corpora.pop() if len(corpora) == 1 else ""
            own["center"] = f"{corpus}:{digest}" if corpus else digest
        return own

    def __call__(self, rows: np.ndarray) -> Float[np.ndarray, "rows dim"]:
        """Transform some embeddings of a `FusedView`: the concatenation of the parts, each times the root of its weight."""
        if self.shares is None:
            raise UserError("weights that each episode chooses make no single embedding; give fixed weights")
        blocks = np.split(rows, np.cumsum(self.dims)[:-1], axis=1)
        roots = np.sqrt(np.array(self.shares, np.float32))
        return np.concatenate(
            [root * part(block) for root, part, block in zip(roots, self.parts, blocks, strict=True)], 1
        )


def fit_parts(
    name: str, store: FusedStore, view: str, clips: ClipTable, fit: Callable[[Store, str, ClipTable], Transform]
) -> FusedTransform:
    """Choose and fit the preprocessing of each part of a fused store.

    Args:
      name: of the preprocessing, which has to end with unit length.
      store: the fused store.
      view: name of its view.
      clips: its clips that take part.
      fit: `fit_transform` with its further arguments: from a store, a view and clips to the preprocessing.

    Returns:
      the preprocessings.

    Raises:
      UserError: if the preprocessing does not end with unit length, and as `fit_transform` does.
    """
    if name not in _OF_UNIT_LENGTH:
        raise UserError(
            f"a fusion needs parts of equal length, and --preprocessing {name} leaves different lengths; take "
            f"{', '.join(_OF_UNIT_LENGTH[:-1])} or {_OF_UNIT_LENGTH[-1]}"
        )
    parts = store.parts_of_view(view)
    transforms = tuple(fit(part, own, _table_of(part, clips)) for part, own in parts)
    return FusedTransform(transforms, tuple(part.view(own).shape[1] for part, own in parts), store.shares)


def _table_of(part: Store, clips: ClipTable) -> ClipTable:
    """A part's own table of the clips that take part: its segments may lie in another order."""
    if clips.digest == part.clips.digest:
        return part.clips
    return part.clips.select(np.isin(part.clips.clip_id, clips.clip_id))


def parts_of(
    view: FusedView, rows: Int[np.ndarray, "rows"], transform: FusedTransform
) -> list[tuple[np.ndarray, Int[np.ndarray, "rows"], Transform]]:
    """Of each part its array, the rows of it, and its preprocessing.

    Args:
      view: the fused view.
      rows: of the first part.
      transform: of the parts.

    Returns:
      arrays as stored, the numbers of their rows, and preprocessings, in the order of the parts.
    """
    return [
        (array, view.rows_of_part(number, rows), own)
        for number, (array, own) in enumerate(zip(view.arrays, transform.parts, strict=True))
    ]


def weighted_sum(parts: Sequence[GramSource], shares: Sequence[float], mesh: Mesh) -> GramSource:
    """The source of a fused view with fixed weights.

    Args:
      parts: sources of the parts.
      shares: their weights.
      mesh: the devices.

    Returns:
      one matrix of all inner products where each part has one, and otherwise sums of the parts' blocks.
    """
    matrices = [part.gram for part in parts if isinstance(part, Precomputed)]
    if len(matrices) < len(parts):
        return Summed(parts, np.array(shares), mesh)
    total: Any = None
    if mesh.devices.flat[0].platform == "cpu":
        # The matrices lie in the host's memory, where NumPy needs no compilation.
        total = aligned_zeros(matrices[0].shape)
        for matrix, share in zip(matrices, np.array(shares, np.float32), strict=True):
            total += share * np.asarray(matrix)
        return Precomputed.of_products(jax.device_put(total, NamedSharding(mesh, P())), mesh)
    for matrix, share in zip(matrices, np.array(shares, np.float32), strict=True):
        # One after the other, so that no more than one product is held besides the sum.
        total = (
            PROGRAMS(_jit_scale(mesh), matrix, share)
            if total is None
            else PROGRAMS(_jit_add(mesh), total, matrix, share)
        )
    return Precomputed.of_products(jax.block_until_ready(total), mesh)


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_scale(mesh: Mesh):
    return jax.jit(shard_over_episodes(lambda x, share: share * x, mesh, (P(), P()), P()))


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_add(mesh: Mesh):
    return jax.jit(shard_over_episodes(lambda total, x, share: total + share * x, mesh, (P(), P(), P()), P()))


class Summed:
    """Blocks that are weighted sums of the parts' blocks.

    Args:
      parts: sources of the parts.
      weights: of the parts, (parts,), or of the parts in each episode of a chunk, (blocks, parts, episodes).
      mesh: the devices.
    """

    kind = "sums of parts"

    def __init__(self, parts: Sequence[GramSource], weights: np.ndarray, mesh: Mesh):
        self._parts, self._mesh = tuple(parts), mesh
        self._spec = P() if weights.ndim == 1 else P(AXIS)
        own = weights[None, :, None] if weights.ndim == 1 else weights
        sharding = NamedSharding(mesh, self._spec)
        self._weights = [
            jax.device_put(np.ascontiguousarray(own[:, part], np.float32), sharding) for part in range(own.shape[1])
        ]

    def blocks(self, support, query) -> Blocks:
        return self._sum(lambda part: part.blocks(support, query))

    def squared_lengths(self, rows):
        (found,) = self._sum(lambda part: (part.squared_lengths(rows),))
        return found

    def _sum(self, of_part):
        total: Any = None
        for part, weights in zip(self._parts, self._weights, strict=True):
            # One part after the other, so that a chunk takes the memory of two parts, however many there are.
            blocks = of_part(part)
            function = _jit_weighted(self._mesh, self._spec, total is not None)
            total = PROGRAMS(function, weights, blocks, *(() if total is None else (total,)))
        return total


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_weighted(mesh: Mesh, spec: P, adds: bool):
    def weigh(weights, blocks, *total):
        scaled = [x * weights.reshape(weights.shape[0], *[1] * (x.ndim - 2), weights.shape[-1]) for x in blocks]
        return tuple(a + b for a, b in zip(*total, scaled, strict=True)) if total else tuple(scaled)

    specs = (spec, P(AXIS), *((P(AXIS),) if adds else ()))
    return jax.jit(shard_over_episodes(weigh, mesh, specs, P(AXIS)))


class SummedByEpisode:
    """The source of a fused view whose weights differ from episode to episode.

    Args:
      parts: sources of the parts.
      weights: of the parts in each episode, (episodes, parts).
      mesh: the devices.
    """

    kind = Summed.kind

    def __init__(self, parts: Sequence[GramSource], weights: Float[np.ndarray, "episodes parts"], mesh: Mesh):
        self._parts, self.weights, self._mesh = tuple(parts), weights, mesh

    def of_episodes(self, numbers: jax.Array) -> Summed:
        """The source of a chunk.

        Args:
          numbers: of its episodes, (blocks, episodes).
        """
        # A short chunk is filled up with episodes whose answers nobody reads.
        own = self.weights[np.minimum(np.asarray(numbers), len(self.weights) - 1)]
        return Summed(self._parts, np.moveaxis(own, 2, 1), self._mesh)


def source_of(source: GramSource | SummedByEpisode, numbers: jax.Array) -> GramSource:
    """The source of a chunk's inner products.

    Args:
      source: of all episodes.
      numbers: of the chunk's episodes, (blocks, episodes).
    """
    return source.of_episodes(numbers) if isinstance(source, SummedByEpisode) else source
