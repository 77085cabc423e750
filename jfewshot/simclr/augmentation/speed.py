"""Changes the speed, which changes tempo and pitch together, like a tape that runs faster (SoX `speed`)."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.augmentation.resample import resample, resampled_length


def output_samples(n_samples: int, slowest: float) -> int:
    """Static size of the array that `speed` returns."""
    return math.ceil(n_samples / slowest)


def speed(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    slowest: float = 0.8,
    fastest: float = 1.2,
) -> tuple[Float[Array, "longer"], Int[Array, ""]]:
    """Play at a speed from U(slowest, fastest).

    Args:
      key: random key that decides the speed.
      wave: samples; zero past `length`.
      length: number of true samples.
      slowest: smallest factor; the paper's 0.8.
      fastest: largest factor; the paper's 1.2.

    Returns:
      the wave, ceil(samples / slowest) long and zero past its new length, floor(length / factor).
    """
    factor = jax.random.uniform(key, minval=slowest, maxval=fastest)
    n_out = output_samples(wave.shape[0], slowest)
    new_length = jnp.minimum(resampled_length(length, factor), n_out)
    out = resample(wave, factor, n_out)
    return jnp.where(jnp.arange(n_out) < new_length, out, 0.0), new_length
