"""Drawing episodes on the device.

Episode i is a function of (seed, clip table's digest, i): each number it needs has a counter of its own in a Threefry stream
named by seed and digest, so the same clips come out whatever the chunk, the device, the order, or what else is drawn.
Supports of fewer shots are the first of those of more shots, and fewer ways are the first of more ways.

All arrays have the episodes last (see linalg.py).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int32, UInt32

from jfewshot.episodes.pool import ClassPool
from jfewshot.episodes.protocol import Protocol
from jfewshot.randomness import below, random_pairs, stream_key

# How often an episode is drawn anew when its support leaves a class too few queries of other groups.
MAX_REDRAWS = 100
_CLASS_SLOT = 0x1FF  # the slot (of 9 bits) whose counters draw the classes; no class has it, since ways are fewer


# Up to so many draws per class are written out, which the compiler turns into one pass over the episodes.
_UNROLLED_DRAWS = 40
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
      group: number of each entry's group.
    """

    key: UInt32[Array, "2"]
    n_classes: UInt32[Array, ""]
    start: Int32[Array, "classes"]
    size: Int32[Array, "classes"]
    clips: Int32[Array, "clips"]
    group: Int32[Array, "clips"]


class Draw(NamedTuple):
    """Drawn episodes.

    Attributes:
      clips: rows of the clip table; of each class first its support, then its queries.
      segment: in [0, 1): which of its clip's segments is used where one is drawn, as floor(segment * n_segments).
      redraws: how often each episode was drawn anew (group-aware only); -1 where all tries failed.
    """

    clips: Int32[Array, "n_way drawn episodes"]
    segment: Float[Array, "n_way drawn episodes"]
    redraws: Int32[Array, "episodes"]


def pool_arrays(pool: ClassPool, protocol: Protocol, clip_table: str) -> PoolArrays:
    """Put a pool on the device.

    Args:
      clip_table: the clip table's digest.
    """
    n_classes, n_clips = padded_length(len(pool.start), _LEAST_CLASSES), padded_length(len(pool.clips), LEAST_CLIPS)
    return PoolArrays(
        key=jnp.asarray(stream_key(protocol.seed, clip_table, "episodes")),
        n_classes=jnp.uint32(len(pool.start)),
        start=_padded(pool.start, n_classes),
        size=_padded(pool.count, n_classes),
        clips=_padded(pool.clips, n_clips),
        group=_padded(pool.group, n_clips),
    )


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(0, int(n - 1).bit_length())


def padded_length(n: int, least: int) -> int:
    """The length to which a list on the device is padded: the smallest power of two that is at least n, and at least `least`.

    Compiling for one more length takes a second; a few thousand unused entries take a few kilobytes.
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
    largest_class: int | None,
) -> Draw:
    """Draw episodes by their numbers.

    Args:
      episode: episode numbers.
      n_way, k_shot, n_query: as in `Protocol`.
      shots_drawn: support clips drawn per class; `k_shot` unless group-aware.
      largest_class: None to draw supports and queries alike; else draw group-aware, with room for classes of up to this
        many clips.
    """
    if largest_class is None:
        attempt = jnp.zeros(episode.shape, jnp.uint32)
        classes = _draw_classes(pool, episode, attempt, n_way)
        drawn, segment = _draw_of_each_class(pool, episode, attempt, classes, n_query + k_shot)
        # Queries come first in the random order, so that they stay the same whatever the number of shots.
        turned = [jnp.concatenate([x[:, n_query:], x[:, :n_query]], 1) for x in (drawn, segment)]
        clips = pool.clips[pool.start[classes][:, None] + turned[0]]
        return Draw(clips, _unit_interval(turned[1]), jnp.zeros(episode.shape, jnp.int32))
    return _draw_group_aware(pool, episode, n_way, k_shot, n_query, shots_drawn, largest_class)


def _draw_classes(pool, episode, attempt, n_way):
    slots = jnp.full((n_way, *episode.shape), _CLASS_SLOT, jnp.uint32)
    counter = _counter(attempt[None], slots, jnp.arange(n_way, dtype=jnp.uint32)[:, None])
    word, _ = random_pairs(pool.key, jnp.broadcast_to(episode, counter.shape), counter)
    n_classes = jnp.broadcast_to(pool.n_classes, (1, *episode.shape))
    return _without_replacement(word[None], n_classes)[0]


def _draw_of_each_class(pool, episode, attempt, classes, n_drawn):
    """Positions in each class, without replacement, and a word for the segment of each."""
    shape = (classes.shape[0], n_drawn, *episode.shape)
    slot = jnp.arange(classes.shape[0], dtype=jnp.uint32)[:, None, None]
    position = jnp.arange(n_drawn, dtype=jnp.uint32)[None, :, None]
    counter = jnp.broadcast_to(_counter(attempt[None, None], slot, position), shape)
    word, segment = random_pairs(pool.key, jnp.broadcast_to(episode, shape), counter)
    return _without_replacement(word, pool.size[classes].astype(jnp.uint32)), segment


def _counter(attempt, slot, position):
    return (attempt << 25) | (slot << 16) | position


def _unit_interval(word):
    # 23 bits, so that the largest value stays below 1 after rounding.
    return (word >> 9).astype(jnp.float32) * jnp.float32(2.0**-23)


def _without_replacement(
    word: UInt32[Array, "slots m episodes"], size: UInt32[Array, "slots episodes"]
) -> Int32[Array, "slots m episodes"]:
    """The first m entries of a uniformly random order of 0 .. size - 1 (Fisher and Yates), by exchanges that are remembered
    instead of made.

    Step j exchanges entry j with a random entry at or after it. An entry that was never exchanged holds its own number, so
    it is enough to know, for each of the earlier steps, which place it wrote and what; the latest write to a place counts.
    """
    m = word.shape[1]
    if m <= _UNROLLED_DRAWS:
        places: list[jax.Array] = []
        given: list[jax.Array] = []
        chosen: list[jax.Array] = []
        for j in range(m):
            place = jnp.uint32(j) + below(word[:, j], size - jnp.uint32(j))
            held, moved = place, jnp.full_like(place, j)
            for earlier_place, earlier in zip(places, given, strict=True):
                held = jnp.where(earlier_place == place, earlier, held)
                moved = jnp.where(earlier_place == jnp.uint32(j), earlier, moved)
            places.append(place)
            given.append(moved)
            chosen.append(held)
        return jnp.stack(chosen, 1).astype(jnp.int32)

    def step(j, state):
        places, given, chosen = state
        place = (j.astype(jnp.uint32) + below(word[:, j], size - j.astype(jnp.uint32))).astype(jnp.int32)
        written, own = places == place[:, None], places == j
        held = jnp.where(written.any(1), jnp.where(written, given, 0).sum(1), place)
        moved = jnp.where(own.any(1), jnp.where(own, given, 0).sum(1), j)
        # One entry per place at most: a second write to a place goes where the first is kept.
        given = jnp.where(written, moved[:, None], given).at[:, j].set(moved)
        places = places.at[:, j].set(jnp.where(written.any(1), -1, place))
        return places, given, chosen.at[:, j].set(held)

    empty = jnp.full(word.shape, -1, jnp.int32)
    return lax.fori_loop(0, m, step, (empty, empty, empty))[2]


def _draw_group_aware(pool, episode, n_way, k_shot, n_query, shots_drawn, largest_class):
    def attempt_all(attempt):
        classes = _draw_classes(pool, episode, attempt, n_way)
        positions, segment = _draw_of_each_class(pool, episode, attempt, classes, shots_drawn + n_query)
        start, count = pool.start[classes], pool.size[classes]
        support = positions[:, :shots_drawn]
        support_groups = pool.group[start[:, None] + support].reshape(-1, *episode.shape)
        entry = jnp.arange(largest_class, dtype=jnp.int32)[None, :, None]
        groups = pool.group.at[start[:, None] + entry].get(mode="fill", fill_value=-1)
        allowed = entry < count[:, None]
        allowed = lax.fori_loop(
            0, support_groups.shape[0], lambda i, allowed: allowed & (groups != support_groups[i]), allowed
        )
        rank = jnp.cumsum(allowed, axis=1, dtype=jnp.int32)
        available = rank[:, -1]
        enough = (available >= n_query).all(0)
        # The queries' own words, of the positions after the support's, now choose among the allowed clips.
        counter = _counter(
            attempt[None, None],
            jnp.arange(n_way, dtype=jnp.uint32)[:, None, None],
            jnp.arange(shots_drawn, shots_drawn + n_query, dtype=jnp.uint32)[None, :, None],
        )
        shape = (n_way, n_query, *episode.shape)
        word, _ = random_pairs(pool.key, jnp.broadcast_to(episode, shape), jnp.broadcast_to(counter, shape))
        chosen = _without_replacement(word, jnp.maximum(available, n_query).astype(jnp.uint32))
        query = lax.map(lambda wanted: (rank <= wanted[:, None]).sum(1, dtype=jnp.int32), jnp.moveaxis(chosen, 1, 0))
        query = jnp.minimum(jnp.moveaxis(query, 0, 1), count[:, None] - 1)
        entries = jnp.concatenate([support[:, :k_shot], query], 1)
        segments = jnp.concatenate([segment[:, :k_shot], segment[:, shots_drawn:]], 1)
        return pool.clips[start[:, None] + entries], segments, enough

    def redraw(state):
        tries, clips, segment, done = state
        new_clips, new_segment, enough = attempt_all(jnp.where(done, tries, tries + 1).astype(jnp.uint32))
        return (
            jnp.where(done, tries, tries + 1),
            jnp.where(done, clips, new_clips),
            jnp.where(done, segment, new_segment),
            done | enough,
        )

    tries = jnp.zeros(episode.shape, jnp.int32)
    clips, segment, done = attempt_all(tries.astype(jnp.uint32))
    tries, clips, segment, done = lax.while_loop(
        lambda state: (~state[3]).any() & (state[0].max() < MAX_REDRAWS), redraw, (tries, clips, segment, done)
    )
    return Draw(clips, _unit_interval(segment), jnp.where(done, tries, -1))


def draw_arguments(protocol: Protocol, pool: ClassPool) -> dict[str, int | None]:
    """The static arguments of `draw` for a protocol."""
    return {
        "n_way": protocol.n_way,
        "k_shot": protocol.k_shot,
        "n_query": protocol.n_query,
        "shots_drawn": protocol.shots_drawn,
        "largest_class": power_of_two(int(pool.count.max())) if protocol.group_aware else None,
    }
