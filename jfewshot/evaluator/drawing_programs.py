"""The compiled functions that draw episodes, and that find the rows of their embeddings."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jfewshot.episodes.drawing import draw, segment_words, unit_interval
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.programs import MOST_FUNCTIONS, OLDER, TRACES, WIDE
from jfewshot.randomness import below

_DRAWN_TOGETHER = 1024  # episodes


def drawing_options(mesh: Mesh) -> dict[str, bool | str]:
    """Compiler options for drawing."""
    return WIDE | OLDER if mesh.devices.flat[0].platform == "cpu" else {}


@functools.lru_cache(MOST_FUNCTIONS)
def jit_draw(mesh: Mesh, arguments: tuple, dtype: str):
    """Compile the drawing of episodes by their numbers, in blocks.

    Args:
      mesh: the devices.
      arguments: pairs of name and value: the keyword arguments of `draw`.
      dtype: integer type of the drawn clips.

    Returns:
      a function from a pool and the numbers of episodes, (blocks, block), to a `Draw` for each block.
    """

    def draw_blocks(pool, numbers):
        TRACES["draw"] += 1
        # Blocks of episodes with many supports are small because the solver needs it; drawing is faster for several
        # blocks at a time.
        blocks, block = numbers.shape
        some = next(g for g in range(max(1, _DRAWN_TOGETHER // block), 0, -1) if blocks % g == 0)

        def draw_some(numbers):
            drawn = draw(pool, numbers.ravel(), **dict(arguments))
            drawn = drawn._replace(clips=drawn.clips.astype(dtype))
            return jax.tree.map(lambda x: jnp.moveaxis(x.reshape(*x.shape[:-1], some, block), -2, 0), drawn)

        drawn = lax.map(draw_some, numbers.reshape(-1, some, block))
        return jax.tree.map(lambda x: x.reshape(blocks, *x.shape[2:]), drawn)

    return jax.jit(shard_over_episodes(draw_blocks, mesh, (P(), P(AXIS)), P(AXIS)))


@functools.lru_cache(MOST_FUNCTIONS)
def jit_segments(mesh: Mesh, n_way: int, k_shot: int, n_query: int, queries: int):
    """Compile the random numbers in [0, 1) that choose a segment of each drawn clip.

    Args:
      mesh: the devices.
      n_way: classes per episode.
      k_shot: supports per class.
      n_query: queries per class in the protocol; the supports' random numbers come after the queries'.
      queries: queries per class to make numbers for.

    Returns:
      a function from a key and the numbers of episodes, (blocks, block), to numbers for the supports and then the
      queries of each class.
    """

    def segments(key, numbers):
        def of_block(numbers):
            support = segment_words(key, numbers, n_way, n_query, k_shot)
            return unit_interval(jnp.concatenate([support, segment_words(key, numbers, n_way, 0, queries)], 1))

        return lax.map(of_block, numbers)

    return jax.jit(shard_over_episodes(segments, mesh, (P(), P(AXIS)), P(AXIS)))


@functools.lru_cache(MOST_FUNCTIONS)
def jit_rows(mesh: Mesh, k_shot: int, of_supports: bool, of_queries: bool, n_way: int | None = None):
    """Rows of the supports' and the queries' embeddings: a clip's first segment, or one drawn at random.

    Args:
      mesh: the devices.
      k_shot: support clips per class.
      of_supports: whether a support's segment is drawn; not needed where every clip has one.
      of_queries: whether a query's segment is drawn.
      n_way: how many of the drawn classes have supports; None for all.

    Returns:
      a function from the clips' first segments and numbers of segments, a key, drawn clips and episode numbers to the
      rows of the supports and of the queries.
    """

    def rows(first, n_segments, key, clips, numbers):
        settings: dict[str, Any] = {"k_shot": k_shot, "drawn": (of_supports, of_queries), "n_way": n_way}
        find = functools.partial(rows_of_block, first, n_segments, key, **settings)
        return lax.map(lambda block: find(*block), (clips, numbers))

    specs = (P(), P(), P(), P(AXIS), P(AXIS))
    return jax.jit(shard_over_episodes(rows, mesh, specs, (P(AXIS), P(AXIS))))


def rows_of_block(
    first, n_segments, key, clips, numbers, *, k_shot: int, drawn: tuple[bool, bool], n_way: int | None = None
):
    """Rows of a block's supports and queries: each clip's first segment, or one drawn at random.

    Args:
      first: number of the first segment of each clip of the table.
      n_segments: how many segments each clip has.
      key: of the stream that episodes are drawn from.
      clips: n_way x drawn x episodes.
      numbers: of the episodes.
      k_shot: supports per class.
      drawn: whether supports, and whether queries, take a segment at random.
      n_way: how many of the drawn classes have supports; None for all.

    Returns:
      the rows of the supports and of the queries.
    """
    clips = clips.astype(jnp.int32)
    n_query = clips.shape[1] - k_shot
    supports = clips[:, :k_shot] if n_way is None else clips[:n_way, :k_shot]

    def find(clips, drawn, first_position):
        found = first.at[clips].get(mode="promise_in_bounds")
        if drawn:
            word = segment_words(key, numbers, clips.shape[0], first_position, clips.shape[1])
            found = found + below(word, n_segments[clips].astype(jnp.uint32)).astype(jnp.int32)
        return found.reshape(-1, found.shape[-1])

    return find(supports, drawn[0], n_query), find(clips[:, k_shot:], drawn[1], 0)
