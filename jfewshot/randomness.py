"""Random words that depend on what they are for and on nothing else: no order of calls, no chunk, no device."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32
from jaxtyping import Array, UInt32

# Threefry-2x32's rotations, in two groups of four rounds, and the constant of its key schedule (Salmon et al., SC 2011).
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_GROUPS = 5  # of four rounds: the 20 rounds that the paper recommends


def stream_key(*names: str | int) -> UInt32[np.ndarray, "2"]:
    """A Threefry key named by its arguments: the first 64 bits of their SHA-256.

    Args:
      *names: what the stream is for, for instance the seed, the clip table's digest and "episodes".
    """
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    return np.frombuffer(digest[:8], dtype=">u4").astype(np.uint32)


def random_pairs(
    key: UInt32[Array, "2"], episode: UInt32[Array, "*shape"], number: UInt32[Array, "*shape"]
) -> tuple[UInt32[Array, "*shape"], UInt32[Array, "*shape"]]:
    """Two random words for each (episode, number): one Threefry-2x32 block (Salmon et al., SC 2011) with that counter.

    Args:
      key: key of the random stream; see `stream_key`.
      episode: numbers of the episodes.
      number: number of the pair within its episode.

    Returns:
      the first and the second word of each pair.
    """
    counters = jnp.concatenate([episode.ravel(), number.ravel()])
    words = threefry_2x32(key, counters)
    first, second = jnp.split(words, 2)
    return first.reshape(episode.shape), second.reshape(episode.shape)


def random_words(
    key: tuple[jax.Array, jax.Array], episode: jax.Array, number: jax.Array, which: int = 0
) -> UInt32[Array, "..."]:
    """One of the two words of `random_pairs`, written out so that XLA computes it inside the loop that uses it.

    Nothing is stored between the rounds, which made drawing several times faster on CPUs. A word that several loops use is
    computed in each of them: hide it behind `computed_once` there.

    Args:
      key: both words of the stream's key, uint32; each is broadcast against the counters.
      episode: episode numbers, uint32, broadcast against `number`.
      number: which pair of the episode's, uint32.
      which: 0 for the first word of the pair, 1 for the second.

    Returns:
      Words of the broadcast shape.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in (*keys, episode, number)))
    first, second = jnp.broadcast_to(episode + keys[0], shape), jnp.broadcast_to(number + keys[1], shape)
    for group in range(_GROUPS):
        for rotation in _ROTATIONS[group % 2]:
            first = first + second
            second = ((second << rotation) | (second >> (32 - rotation))) ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return second if which else first


def below(word: UInt32[Array, "*shape"], bound: jax.Array, *, bound_has_16_bits: bool = False) -> jax.Array:
    """A number in 0 .. bound - 1 from a random word: floor(word * bound / 2**32).

    Each number has probability 1 / bound to within 2**-32, a relative error below 3e-6 for the 10,000 clips of a large class.

    Args:
      word: uniform 32-bit words.
      bound: uint32, at most 2**24, broadcast against `word`.
      bound_has_16_bits: the caller promises that no bound is above 65,535, so that fewer products give the same number.

    Returns:
      uint32 of the broadcast shape.
    """
    # The upper half of the 64-bit product, from 16-bit halves, since 64-bit integers are off by default in JAX.
    low, high = word & 0xFFFF, word >> 16
    bound = jnp.asarray(bound, jnp.uint32)
    if bound_has_16_bits:
        return (high * bound + ((low * bound) >> 16)) >> 16
    bound_low, bound_high = bound & 0xFFFF, bound >> 16
    cross = high * bound_low + ((low * bound_low) >> 16)
    cross_more = low * bound_high + (cross & 0xFFFF)
    return high * bound_high + (cross >> 16) + (cross_more >> 16)
