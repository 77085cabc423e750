"""Draw episodes whose supports and queries come from separate pools.

Classes and queries are drawn as from one pool, with the same random words: for the same pool of queries, the queries
are the same clips, whatever pool the supports come from. Given the queries, supports are uniform among the clips of
their own pool that are not queries; a clip that is another recording of a query counts as this query. Group-aware
episodes draw supports first, as from one pool (group_aware.py).

All arrays have the episodes last (see linalg.py).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32

from jfewshot.episodes.group_aware import Groups, every_query, skip_runs, sorted_along_slots
from jfewshot.episodes.separate import NOWHERE
from jfewshot.episodes.shuffling import Words, without_replacement


class SupportArrays(NamedTuple):
    """The supports' pool on the device.

    Attributes:
      start, size: for each class, its first entry and its number of entries in `clips`.
      clips: rows of the clip table.
      copy: for each entry of the queries' pool, the position of the same clip in its class; see `Supports`. None if no
          clip is on both sides, or if groups already exclude it.
      place: the reverse, for each support its position among the queries, if all clips are queries; else None.
      groups: the groups of the clips; None unless group-aware.
    """

    start: Int32[Array, "classes"]
    size: Int32[Array, "classes"]
    clips: Int32[Array, "clips"]
    copy: Int32[Array, "queries"] | None
    place: Int32[Array, "clips"] | None
    groups: Groups | None


class FromTwoPools(NamedTuple):
    """Drawn episodes; entries are counted from the first clip of their class in its pool.

    Attributes:
      classes: the class of each slot.
      support, query: the entries of the supports and of the queries.
      query_count: if all clips are queries, the number of queries of each class; the entries after them are padding.
          Else None.
    """

    classes: Int32[Array, "n_way episodes"]
    support: Int32[Array, "n_way k_shot episodes"]
    query: Int32[Array, "n_way n_query episodes"]
    query_count: Int32[Array, "n_way episodes"] | None = None


def draw_from_two_pools(
    words: Words,
    query_start: Int32[Array, "classes"],
    query_size: Int32[Array, "classes"],
    supports: SupportArrays,
    draw_classes: Callable[[], jax.Array],
    *,
    n_query: int,
    k_shot: int,
) -> FromTwoPools:
    """Draw classes, queries and supports.

    Args:
      words: source of the random words.
      query_start: position of each class's first clip in the queries' pool.
      query_size: number of query clips of each class.
      supports: the supports' pool.
      draw_classes: gives the classes of the episode's slots.
      n_query: queries per class.
      k_shot: supports per class.

    Returns:
      the drawn episodes.
    """
    classes = draw_classes()
    query = without_replacement(words, query_size[classes].astype(jnp.uint32), n_query)
    size = supports.size[classes]
    if supports.copy is None:
        support = without_replacement(words, size.astype(jnp.uint32), k_shot, first_position=n_query)
        return FromTwoPools(classes, support, query)
    taken = sorted_along_slots(supports.copy[query_start[classes][:, None] + query])
    length = (taken < NOWHERE).astype(jnp.int32)
    free = (size - length.sum(1)).astype(jnp.uint32)
    among_free = without_replacement(words, free, k_shot, first_position=n_query)
    return FromTwoPools(classes, skip_runs(among_free, taken, length), query)


def draw_with_every_query(
    words: Words,
    query_size: Int32[Array, "classes"],
    supports: SupportArrays,
    draw_classes: Callable[[], jax.Array],
    *,
    n_query: int,
    k_shot: int,
) -> FromTwoPools:
    """Draw classes and supports; all clips of the queries' pool that are not supports are queries.

    Args:
      words: source of the random words.
      query_size: number of query clips of each class.
      supports: the supports' pool.
      draw_classes: gives the classes of the episode's slots.
      n_query: query clips of the largest class.
      k_shot: supports per class.

    Returns:
      the drawn episodes.
    """
    classes = draw_classes()
    support = without_replacement(words, supports.size[classes].astype(jnp.uint32), k_shot)
    size = query_size[classes]
    if supports.place is None:
        taken = jnp.full_like(support[:, :1], NOWHERE)
    else:
        taken = sorted_along_slots(supports.place[supports.start[classes][:, None] + support])
    query, count = every_query(size, taken, (taken < NOWHERE).astype(jnp.int32), n_query)
    return FromTwoPools(classes, support, query, count)
