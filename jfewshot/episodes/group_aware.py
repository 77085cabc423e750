"""Draw episodes in which no query shares a group (speaker, recording, site) with a support.

Classes are drawn as without groups. Then supports are drawn uniformly from the classes of the episode, and drawn again
until every class keeps enough clips of other groups for its queries. This is done for each class alone or, if groups
have clips of several classes, for all classes of the episode together. So classes stay uniform, and supports are
uniform among the supports that leave enough queries. Queries are drawn uniformly from the clips of other groups.

All arrays have the episodes last (see linalg.py).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32

from jfewshot.episodes.pool import ClassPool
from jfewshot.episodes.separate import Supports
from jfewshot.episodes.shuffling import Words, without_replacement

# How often the supports of an episode's classes are drawn before its classes are drawn again, and how often classes are
# drawn.
MAX_SUPPORT_DRAWS = 1_000
MAX_CLASS_DRAWS = 16


class Groups(NamedTuple):
    """The groups of clips: one entry for each clip of a pool whose clips are sorted by group within each class.

    Attributes:
      number: number of the group.
      run_start: position of the first clip of the same class and group, counted from the class's first clip.
      run_length: number of clips of the same class and group.
    """

    number: Int32[Array, "clips"]
    run_start: Int32[Array, "clips"]
    run_length: Int32[Array, "clips"]


class Grouped(NamedTuple):
    """A pool on the device whose clips have groups.

    Attributes:
      start, size: for each class, its first entry and its number of entries in the pool.
      groups: the groups of the entries.
    """

    start: Int32[Array, "classes"]
    size: Int32[Array, "classes"]
    groups: Groups


class GroupAware(NamedTuple):
    """Drawn episodes; entries are counted from the first clip of their class.

    Attributes:
      classes: the class of each slot.
      support, query: the entries of the supports and of the queries.
      redraws: how many times the supports of a class were drawn again; -1 if all tries failed.
      class_redraws: how often the classes were drawn again.
      query_count: if all clips are queries, the number of queries of each class; else None.
    """

    classes: Int32[Array, "n_way episodes"]
    support: Int32[Array, "n_way shots_drawn episodes"]
    query: Int32[Array, "n_way n_query episodes"]
    redraws: Int32[Array, "episodes"]
    class_redraws: Int32[Array, "episodes"]
    query_count: Int32[Array, "n_way episodes"] | None = None


def group_arrays(pool: ClassPool | Supports, length: int) -> Groups:
    """Put a pool's groups on the device, padded to a given number of entries."""
    class_start = np.repeat(pool.start, pool.count)
    entry = np.arange(len(pool.clips), dtype=np.int32)
    begins = np.ones(len(entry), bool)
    begins[1:] = (pool.group[1:] != pool.group[:-1]) | (class_start[1:] != class_start[:-1])
    run = np.cumsum(begins) - 1
    arrays = (pool.group, entry[begins][run] - class_start, np.bincount(run)[run])
    return Groups(*(jnp.asarray(np.pad(x, (0, length - len(x))).astype(np.int32)) for x in arrays))


def draw_of_other_groups(
    words: Words,
    support_pool: Grouped,
    query_pool: Grouped,
    draw_classes: Callable[[jax.Array], jax.Array],
    *,
    n_query: int,
    shots_drawn: int,
    search_steps: int | None,
    reach_over: bool,
    asks_every_query: bool = False,
) -> GroupAware:
    """Draw classes, supports and queries.

    Args:
      words: source of the random words.
      support_pool: the clips that supports are drawn from.
      query_pool: the clips that queries are drawn from; the same object where both are drawn from one pool.
      draw_classes: a function from attempt numbers, one for each episode, to the classes of the episode's slots.
      n_query: queries per class.
      shots_drawn: supports drawn per class.
      search_steps: bisections that find a group among the queries of the largest class; None where both sides are drawn from
        one pool and no group has clips of several classes.
      reach_over: whether a group can have clips of several classes.
      asks_every_query: whether all query clips of other groups are queries. `n_query` is then the number of query clips
          of the largest class, and one query is enough.

    Returns:
      the drawn episodes.
    """

    least, first_position = (1, 0) if asks_every_query else (n_query, n_query)

    def supports(classes, attempt):
        count = support_pool.size[classes].astype(jnp.uint32)
        return without_replacement(
            words, count, shots_drawn, first_position=first_position, attempt=attempt.astype(jnp.uint32)
        )

    def excluded(classes, support):
        class_start = support_pool.start[classes]
        if search_steps is None:
            return _runs_of_own_class(support_pool.groups, class_start, support)
        number = support_pool.groups.number[class_start[:, None] + support]
        number = number.reshape(1, -1, number.shape[-1]) if reach_over else number
        return _runs_of_groups(query_pool, classes, sorted_along_slots(number), search_steps)

    def leaves_enough(classes, attempt):
        _, length = excluded(classes, supports(classes, attempt))
        enough = query_pool.size[classes] - length.sum(1) >= least
        # If groups have clips of several classes, the supports of one class exclude queries of another, so all supports
        # are drawn again.
        return enough if not reach_over else jnp.broadcast_to(enough.all(0), enough.shape)

    def wanting(state: _State):
        return ~state.enough & (state.class_attempt < MAX_CLASS_DRAWS)

    def again(state: _State) -> _State:
        once_more = wanting(state).astype(jnp.int32)
        attempt = state.attempt + once_more
        spent = (attempt >= (state.class_attempt + 1) * MAX_SUPPORT_DRAWS).any(0)
        class_attempt = state.class_attempt + spent.astype(jnp.int32)
        attempt = jnp.where(spent, class_attempt * MAX_SUPPORT_DRAWS, attempt)
        classes = draw_classes(class_attempt.astype(jnp.uint32))
        enough = (state.enough & ~spent) | leaves_enough(classes, attempt)
        return _State(class_attempt, attempt, enough, state.redraws + once_more.sum(0))

    nothing = jnp.zeros(words.episode.shape, jnp.int32)
    classes = draw_classes(nothing.astype(jnp.uint32))
    attempt = jnp.zeros(classes.shape, jnp.int32)
    state = lax.while_loop(
        lambda state: wanting(state).any(),
        again,
        _State(nothing, attempt, leaves_enough(classes, attempt), nothing),
    )
    classes = draw_classes(state.class_attempt.astype(jnp.uint32))
    support = supports(classes, state.attempt)
    run_start, length = excluded(classes, support)
    size = query_pool.size[classes]
    redraws = jnp.where(state.enough.all(0), state.redraws, -1)
    if asks_every_query:
        query, query_count = every_query(size, run_start, length, n_query)
        return GroupAware(classes, support, query, redraws, state.class_attempt, query_count)
    available = jnp.maximum(size - length.sum(1), n_query).astype(jnp.uint32)
    query = skip_runs(without_replacement(words, available, n_query), run_start, length)
    return GroupAware(classes, support, jnp.minimum(query, size[:, None] - 1), redraws, state.class_attempt)


class _State(NamedTuple):
    """The state of the search for supports that leave enough queries.

    Attributes:
      class_attempt: number of the current draw of each episode's classes.
      attempt: number of the current draw of each slot's supports; each draw of classes allows `MAX_SUPPORT_DRAWS`
          draws.
      enough: whether these supports leave enough queries.
      redraws: how many times supports were drawn again.
    """

    class_attempt: Int32[Array, "episodes"]
    attempt: Int32[Array, "n_way episodes"]
    enough: Bool[Array, "n_way episodes"]
    redraws: Int32[Array, "episodes"]


def _runs_of_own_class(groups, class_start, support):
    """Start and length, within each slot's class, of the groups of its own support; each group once, in the class's order."""
    start = sorted_along_slots(groups.run_start[class_start[:, None] + support])
    return start, jnp.where(_is_new(start), groups.run_length[class_start[:, None] + start], 0)


def _runs_of_groups(pool, classes, number, search_steps):
    """Start and length, within each slot's class, of some groups: a length of 0 where a class has no clip of a group.

    The group numbers are sorted along the second axis. With one slot, the groups apply to all classes.
    """
    groups, class_start, count = pool.groups, pool.start[classes], pool.size[classes]
    # Bisection for the first clip of the class whose group number is not below the wanted one.
    low = jnp.zeros((len(class_start), *number.shape[1:]), jnp.int32)
    high = jnp.broadcast_to(count[:, None], low.shape)

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        # When no entry is left between the two ends, both stay the same, so entries beyond the class are not read.
        below = (low < high) & (groups.number[class_start[:, None] + jnp.minimum(middle, count[:, None] - 1)] < number)
        return jnp.where(below, middle + 1, low), jnp.where(below, high, middle)

    low, _ = lax.fori_loop(0, search_steps, halve, (low, high))
    entry = class_start[:, None] + jnp.minimum(low, count[:, None] - 1)
    there = (low < count[:, None]) & (groups.number[entry] == number) & _is_new(number)
    return low, jnp.where(there, groups.run_length[entry], 0)


def sorted_along_slots(values: Int32[Array, "slots n episodes"]) -> Int32[Array, "slots n episodes"]:
    """Sort along the second axis, by counting for each value how many values come before it."""
    n = values.shape[1]
    if n == 1:
        return values
    place = jnp.arange(n, dtype=jnp.int32)[None, :, None]

    def count(j, rank):
        other = values[:, j, None]
        return rank + ((other < values) | ((other == values) & (j < place))).astype(jnp.int32)

    rank = lax.fori_loop(0, n, count, jnp.zeros(values.shape, jnp.int32))

    def put(i, ordered):
        return jnp.where(rank[:, i, None] == place, values[:, i, None], ordered)

    return lax.fori_loop(0, n, put, values)


def _is_new(ordered):
    """Which of sorted values differ from the one before."""
    new = ordered[:, 1:] != ordered[:, :-1]
    return jnp.concatenate([jnp.ones_like(new[:, :1], shape=(ordered.shape[0], 1, ordered.shape[2])), new], 1)


def every_query(
    size: Int32[Array, "slots episodes"],
    run_start: Int32[Array, "slots runs episodes"],
    run_length: Int32[Array, "slots runs episodes"],
    n_query: int,
) -> tuple[Int32[Array, "slots n_query episodes"], Int32[Array, "slots episodes"]]:
    """All query clips of each class except some runs of them.

    Args:
      size: number of query clips of each class.
      run_start: first entries of the runs that are left out, sorted.
      run_length: lengths of these runs.
      n_query: query clips of the largest class.

    Returns:
      the entries, padded with the class's last entry, and the number of entries without padding.
    """
    rank = jnp.arange(n_query, dtype=jnp.int32)[None, :, None]
    entry = skip_runs(jnp.broadcast_to(rank, (size.shape[0], n_query, size.shape[1])), run_start, run_length)
    return jnp.minimum(entry, size[:, None] - 1), size - run_length.sum(1)


def skip_runs(
    rank: Int32[Array, "slots n episodes"],
    run_start: Int32[Array, "slots runs episodes"],
    run_length: Int32[Array, "slots runs episodes"],
) -> Int32[Array, "slots n episodes"]:
    """Convert the number of a clip among the remaining clips to its entry, by skipping the runs that come before it.

    Args:
      rank: number of each clip among the remaining clips, from 0.
      run_start: first entries of the runs that are left out, sorted.
      run_length: lengths of these runs.

    Returns:
      the entries.
    """

    def over_one_run(i, entry):
        return jnp.where(run_start[:, i, None] <= entry, entry + run_length[:, i, None], entry)

    return lax.fori_loop(0, run_start.shape[1], over_one_run, rank)
