"""Draw without replacement for many episodes at once: the first few entries of random orders, from counters.

All arrays have the episodes last (see linalg.py).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32, UInt32

from jfewshot.classifiers.linalg import computed_once
from jfewshot.randomness import below, random_words

# The slot (of 9 bits) whose counters draw the classes; no class has this slot, since there are fewer ways.
CLASS_SLOT = 0x1FF
_POSITION_BITS = 16
# Up to so many draws are unrolled, which the compiler turns into one pass over the episodes.
_UNROLLED_DRAWS = 40


class Words(NamedTuple):
    """The source of random words.

    Attributes:
      key: key of the stream.
      episode: numbers of the episodes.
      bound_has_16_bits: whether every list from which entries are drawn has at most 65,535 entries.
    """

    key: UInt32[Array, "2"]
    episode: UInt32[Array, "episodes"]
    bound_has_16_bits: bool


def counters(slot: jax.Array, position: jax.Array) -> jax.Array:
    """The number of a pair of random words within its episode: uint32, slot in the upper bits, position in the lower 16."""
    return (slot << _POSITION_BITS) | position


def without_replacement(
    words: Words,
    size: UInt32[Array, "slots episodes"],
    m: int,
    *,
    first_position: int = 0,
    slots: UInt32[Array, "slots"] | None = None,
    attempt: UInt32[Array, "slots episodes"] | None = None,
) -> Int32[Array, "slots m episodes"]:
    """The first m entries of a uniformly random order of 0 .. size - 1, for each slot and episode (Fisher and Yates).

    Args:
      words: the random stream.
      size: number of entries; at least m.
      m: number of entries to draw.
      first_position: position of the first of the m words' counters.
      slots: the counters' slots; None for 0, 1, ...
      attempt: a number for each repetition of a draw, which is added to the second word of the key, so that each
          attempt has its own stream; None for 0.

    Returns:
      Entries, int32, all different within a slot.
    """
    slots = jnp.arange(size.shape[0], dtype=jnp.uint32) if slots is None else slots

    def places(size, key, episode, *attempt):
        step = jnp.arange(m, dtype=jnp.uint32)[None, :, None]
        second = key[1] + attempt[0][:, None] if attempt else key[1]
        number = counters(slots[:, None, None], step + jnp.uint32(first_position))
        word = random_words((key[0], second), episode[None, None], number)
        return step + below(word, size[:, None] - step, bound_has_16_bits=words.bound_has_16_bits)

    drawn = computed_once(places, size, words.key, words.episode, *(() if attempt is None else (attempt,)))
    return computed_once(_entries_after_exchanges, drawn)


def _entries_after_exchanges(places: UInt32[Array, "slots m episodes"]) -> Int32[Array, "slots m episodes"]:
    """The contents of entry j after step j, where step j exchanges entry j with the entry at `places[j] >= j`.

    After step j, entry j has the former contents of `places[j]`. To find them, the earlier steps are traced back: the
    contents of the position to which step i wrote came from entry i. A traced position is never below the step, so no
    other case exists.
    """
    m = places.shape[1]
    if m <= _UNROLLED_DRAWS:
        entries = []
        for j in range(m):
            entry = places[:, j]
            for i in reversed(range(j)):
                entry = jnp.where(entry == places[:, i], jnp.uint32(i), entry)
            entries.append(entry)
        return jnp.stack(entries, 1).astype(jnp.int32)
    step = jnp.arange(m, dtype=jnp.int32)[None, :, None]

    def back_one_step(turn, entries):
        i = m - 1 - turn
        return jnp.where((step > i) & (entries == places[:, i, None]), i.astype(jnp.uint32), entries)

    return lax.fori_loop(0, m, back_one_step, places).astype(jnp.int32)
