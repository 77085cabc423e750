"""Random words that depend on what they are for and on nothing else: no order of calls, no chunk, no device."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32
from jaxtyping import Array, UInt32


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
      key: names the stream; see `stream_key`.
      episode: episode numbers.
      number: which pair of the episode's.
    """
    counters = jnp.concatenate([episode.ravel(), number.ravel()])
    words = threefry_2x32(key, counters)
    first, second = jnp.split(words, 2)
    return first.reshape(episode.shape), second.reshape(episode.shape)


def below(word: UInt32[Array, "*shape"], bound: jax.Array) -> UInt32[Array, "*shape"]:
    """A number in 0 .. bound - 1 from a random word: floor(word * bound / 2**32).

    Each number has probability 1 / bound to within 2**-32, a relative error below 3e-6 for the 10,000 clips of a large class.

    Args:
      word: uniform 32-bit words.
      bound: uint32, at most 2**24, broadcast against `word`.
    """
    # The upper half of the 64-bit product, from 16-bit halves, since 64-bit integers are off by default in JAX.
    low, high = word & 0xFFFF, word >> 16
    bound = jnp.asarray(bound, jnp.uint32)
    bound_low, bound_high = bound & 0xFFFF, bound >> 16
    cross = high * bound_low + ((low * bound_low) >> 16)
    cross_more = low * bound_high + (cross & 0xFFFF)
    return high * bound_high + (cross >> 16) + (cross_more >> 16)
