"""Draw episodes on the device.

Episode i depends only on the seed, the clip table's digest and i. Each random number of an episode has its own counter
in a Threefry stream whose key comes from seed and digest. So an episode has the same clips for any chunk, device or
order, and whatever else is drawn. The supports for fewer shots are the first supports for more shots, and the classes
for fewer ways are the first classes for more ways.

All arrays have the episodes last (see linalg.py).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt32

from jfewshot.episodes.group_aware import Grouped, Groups, draw_of_other_groups, group_arrays
from jfewshot.episodes.pool import ClassPool
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.separate import Supports
from jfewshot.episodes.shuffling import CLASS_SLOT, Words, counters, without_replacement
from jfewshot.episodes.two_pools import SupportArrays, draw_from_two_pools, draw_with_every_query
from jfewshot.randomness import random_words, stream_key

# Lists of classes and of clips have at least these lengths on the device, so that all small stores share one compiled program.
_LEAST_CLASSES = 64
LEAST_CLIPS = 4096


class PoolArrays(NamedTuple):
    """A `ClassPool` on the device, padded so that stores of similar size share compiled code (`padded_length`).

    Attributes:
      key: of the episodes' random stream.
      n_classes: how many classes there are.
      start, size: per class, into `clips`.
      clips: rows of the clip table.
      groups: the groups of the clips; None unless group-aware.
      support: the supports' pool if it is separate; all other fields then describe the queries.
    """

    key: UInt32[Array, "2"]
    n_classes: UInt32[Array, ""]
    start: Int32[Array, "classes"]
    size: Int32[Array, "classes"]
    clips: Int32[Array, "clips"]
    groups: Groups | None
    support: SupportArrays | None = None


class Draw(NamedTuple):
    """Drawn episodes.

    Attributes:
      clips: rows of the clip table; of each class first its support, then its queries.
      redraws: how many times the supports of a class were drawn again until they left enough queries (group-aware
          only); -1 if all tries failed.
      class_redraws: how often the classes themselves were drawn again because all tries for their supports had failed.
      query_count: if all clips are queries, the number of queries of each class; the entries after them are padding.
          Else None.
    """

    clips: Int32[Array, "n_way drawn episodes"]
    redraws: Int32[Array, "episodes"]
    class_redraws: Int32[Array, "episodes"]
    query_count: Int32[Array, "n_way episodes"] | None = None


def pool_arrays(pool: ClassPool, protocol: Protocol, clip_table: str) -> PoolArrays:
    """Put a pool on the device.

    Args:
      pool: the classes and clips.
      protocol: its seed names the random stream.
      clip_table: the clip table's part of the random stream's key (`ClipTable.stream`).

    Returns:
      the pool as arrays on the device, padded to few different sizes so that few programs are compiled.
    """
    n_classes, n_clips = padded_length(len(pool.start), _LEAST_CLASSES), padded_length(len(pool.clips), LEAST_CLIPS)
    return PoolArrays(
        key=jnp.asarray(stream_key(protocol.seed, clip_table, "episodes")),
        n_classes=jnp.uint32(len(pool.start)),
        start=_padded(pool.start, n_classes),
        size=_padded(pool.count, n_classes),
        clips=_padded(pool.clips, n_clips),
        groups=group_arrays(pool, n_clips) if protocol.group_aware else None,
        support=None if pool.support is None else _support_arrays(pool.support, protocol, n_classes, n_clips),
    )


def _support_arrays(support: Supports, protocol: Protocol, n_classes: int, n_queries: int) -> SupportArrays:
    n_clips = padded_length(len(support.clips), LEAST_CLIPS)
    copy = None if protocol.group_aware or protocol.every_query else support.copy
    place = support.place if protocol.every_query and not protocol.group_aware else None
    return SupportArrays(
        start=_padded(support.start, n_classes),
        size=_padded(support.count, n_classes),
        clips=_padded(support.clips, n_clips),
        copy=None if copy is None else _padded(copy, n_queries),
        place=None if place is None else _padded(place, n_clips),
        groups=group_arrays(support, n_clips) if protocol.group_aware else None,
    )


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(0, int(n - 1).bit_length())


def padded_length(n: int, least: int) -> int:
    """The length to which a list on the device is padded: the smallest power of two that is at least n, and at least `least`.

    Compiling for another length takes a second, while a few thousand unused entries take only a few kilobytes.
    """
    return max(least, power_of_two(n))


def _padded(values: np.ndarray, length: int) -> jax.Array:
    return jnp.asarray(np.pad(values, (0, length - len(values))))


def draw(
    pool: PoolArrays,
    episode: UInt32[Array, "episodes"],
    *,
    n_way: int,
    k_shot: int,
    n_query: int,
    shots_drawn: int,
    bound_has_16_bits: bool,
    search_steps: int | None,
    reach_over: bool,
    asks_every_query: bool = False,
) -> Draw:
    """Draw episodes by their numbers.

    Args:
      pool: the classes and clips, on the device.
      episode: episode numbers.
      n_way: classes per episode.
      k_shot: support clips per class.
      n_query: query clips per class.
      shots_drawn: support clips drawn per class; `k_shot` unless group-aware.
      bound_has_16_bits: whether there are at most 65,535 classes, and as many clips in each.
      search_steps: group-aware only, if groups have clips of several classes or pools are separate: number of
          bisections that find a group in the largest class.
      reach_over: group-aware only: whether a group can have clips of several classes.
      asks_every_query: whether all query clips are queries; `n_query` is then the number of query clips of the largest
          class.

    Returns:
      the clips of each episode, and how often supports and classes were drawn again.
    """
    words = Words(pool.key, episode, bound_has_16_bits)
    nothing = jnp.zeros(episode.shape, jnp.int32)
    if pool.support is not None and pool.groups is None:
        sizes = {"n_query": n_query, "k_shot": k_shot}

        def classes_of() -> jax.Array:
            return draw_classes(words, pool.n_classes, n_way, None)

        if asks_every_query:
            two = draw_with_every_query(words, pool.size, pool.support, classes_of, **sizes)
        else:
            two = draw_from_two_pools(words, pool.start, pool.size, pool.support, classes_of, **sizes)
        rows = _rows_of_sides(pool, pool.support, two.classes, two.support, two.query)
        return Draw(rows, nothing, nothing, two.query_count)
    if pool.groups is None:
        classes = draw_classes(words, pool.n_classes, n_way, None)
        size = pool.size[classes].astype(jnp.uint32)
        drawn = without_replacement(words, size, n_query + k_shot)
        # Queries come first in the random order, so that they stay the same whatever the number of shots.
        entries = jnp.concatenate([drawn[:, n_query:], drawn[:, :n_query]], 1)
        redraws = class_redraws = nothing
    else:
        queries = supports = Grouped(pool.start, pool.size, pool.groups)
        if pool.support is not None and pool.support.groups is not None:
            supports = Grouped(pool.support.start, pool.support.size, pool.support.groups)
        found = draw_of_other_groups(
            words,
            supports,
            queries,
            lambda attempt: draw_classes(words, pool.n_classes, n_way, attempt),
            n_query=n_query,
            shots_drawn=shots_drawn,
            search_steps=search_steps,
            reach_over=reach_over,
            asks_every_query=asks_every_query,
        )
        if pool.support is not None:
            support = found.support[:, :k_shot]
            rows = _rows_of_sides(pool, pool.support, found.classes, support, found.query)
            return Draw(rows, found.redraws, found.class_redraws, found.query_count)
        classes, redraws, class_redraws = found.classes, found.redraws, found.class_redraws
        entries = jnp.concatenate([found.support[:, :k_shot], found.query], 1)
    return Draw(pool.clips[pool.start[classes][:, None] + entries], redraws, class_redraws)


def _rows_of_sides(pool, supports, classes, support, query):
    """Rows of the clip table, supports first, from entries of the two pools."""
    return jnp.concatenate(
        [
            supports.clips[supports.start[classes][:, None] + support],
            pool.clips[pool.start[classes][:, None] + query],
        ],
        1,
    )


def draw_classes(
    words: Words, n_classes: UInt32[Array, ""], n_way: int, attempt: UInt32[Array, "episodes"] | None
) -> Int32[Array, "n_way episodes"]:
    """Draw the classes of each episode without replacement.

    Args:
      words: source of the random words.
      n_classes: number of classes to draw from.
      n_way: classes per episode.
      attempt: number of the attempt in each episode, since group-aware drawing may have to draw again; None if there is
          only one attempt.

    Returns:
      numbers of the classes.
    """
    slot = jnp.full(1, CLASS_SLOT, jnp.uint32)
    size = jnp.broadcast_to(n_classes, (1, *words.episode.shape))
    again = None if attempt is None else attempt[None]
    return without_replacement(words, size, n_way, slots=slot, attempt=again)[0]


def segment_words(
    key: UInt32[Array, "2"], episode: UInt32[Array, "episodes"], n_way: int, first_position: int, n: int
) -> UInt32[Array, "n_way n episodes"]:
    """Random words that choose a segment of each drawn clip, by way of `below` or `unit_interval`.

    The words depend on the episode and on a clip's position in it, not on the clip. They are the second words of the
    pairs whose first words choose clips. Stores with one segment per clip do not need them.

    Args:
      key: key of the episodes' random stream.
      episode: episode numbers.
      n_way: classes per episode.
      first_position: 0 for the queries, `n_query` for the supports.
      n: clips per class.

    Returns:
      one random word for each clip.
    """
    slot = jnp.arange(n_way, dtype=jnp.uint32)[:, None, None]
    position = jnp.uint32(first_position) + jnp.arange(n, dtype=jnp.uint32)[None, :, None]
    # The lowest bits are dropped so that the number in [0, 1) in the records chooses exactly the same segment.
    return (random_words((key[0], key[1]), episode, counters(slot, position), which=1) >> 9) << 9


def unit_interval(word: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A float32 in [0, 1) from a random word's upper 23 bits, so that the largest value stays below 1 after rounding."""
    return (word >> 9).astype(jnp.float32) * jnp.float32(2.0**-23)


def draw_arguments(protocol: Protocol, pool: ClassPool) -> dict[str, Any]:
    """The static arguments of `draw` for a protocol."""
    largest = int(pool.count.max())
    most = largest if pool.support is None else max(largest, int(pool.support.count.max()))
    reach_over = protocol.group_aware and pool.groups_reach_over
    searched = reach_over or (protocol.group_aware and pool.support is not None)
    return {
        "n_way": protocol.n_way,
        "k_shot": protocol.k_shot,
        "n_query": protocol.n_query,
        "shots_drawn": protocol.shots_drawn,
        "bound_has_16_bits": max(most, len(pool.names)) < 2**16,
        # Rounded up to a multiple of four, so that stores of similar size share a compiled program.
        "search_steps": -(-largest.bit_length() // 4) * 4 if searched else None,
        "reach_over": reach_over,
        "asks_every_query": protocol.every_query,
    }
