"""Repeats a short utterance until it has the length of a crop."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def repeated(wave: Float[Array, "samples"], length: Int[Array, ""]) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Repeat the true samples of a wave until they fill its array, as extraction fills a segment with a short clip.

    Args:
      wave: samples; zero past `length`.
      length: number of true samples; a wave without true samples is not changed.

    Returns:
      the wave and its number of true samples, which is the size of the array (0 for a wave without samples).
    """
    samples = wave.shape[0]
    place = jnp.arange(samples) % jnp.maximum(length, 1)
    return wave[place], jnp.where(length > 0, samples, 0).astype(length.dtype)
