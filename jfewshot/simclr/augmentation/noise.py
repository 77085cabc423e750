"""Adds noise at an exact signal-to-noise ratio, and generates noise; `noise_pool` has recorded noise."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key


def add_noise(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    bank: Float[Array, "noises noise_samples"],
    lowest_db: float = 5.0,
    highest_db: float = 10.0,
) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Add a random cut of a random noise at an SNR from U(lowest_db, highest_db).

    The ratio is 10 log10 of (mean square of the speech / mean square of the noise), both over the true samples. Silence stays
    silence, and a silent cut adds nothing.

    Args:
      key: random key that decides the noise, the cut and the ratio.
      wave: samples; zero past `length`.
      length: number of true samples.
      bank: noises of one length; a cut that reaches the end continues at the beginning.
      lowest_db: smallest signal-to-noise ratio in dB; the paper's 5.
      highest_db: largest signal-to-noise ratio in dB; the paper's 10.

    Returns:
      the noisy wave and its number of true samples, which has not changed.
    """
    which, where, how_much = jax.random.split(key, 3)
    noise_samples = bank.shape[1]
    row = jax.random.randint(which, (), 0, bank.shape[0])
    start = jax.random.randint(where, (), 0, noise_samples)
    noise = bank[row, (start + jnp.arange(wave.shape[0])) % noise_samples]
    noise = jnp.where(jnp.arange(wave.shape[0]) < length, noise, 0.0)
    snr_db = jax.random.uniform(how_much, minval=lowest_db, maxval=highest_db)
    # Sums replace means, since both have the same number of samples. The lower bound keeps 0 / 0 finite; 1e-20 is far below
    # 16-bit silence.
    ratio = jnp.sum(jnp.square(wave)) / jnp.maximum(jnp.sum(jnp.square(noise)), 1e-20)
    gain = jnp.sqrt(ratio * 10.0 ** (-snr_db / 10.0))
    return wave + gain * noise, length


def coloured_noise(samples: int, seed: int, per_colour: int = 8) -> np.ndarray:
    """Make white, pink and brown noise: power falls as 1 / frequency to the 0, 1 and 2.

    Args:
      samples: number of samples of each noise.
      seed: seed of the random numbers.
      per_colour: number of noises of each colour.

    Returns:
      float32, (3 * per_colour, samples), each row with a mean square of 1.
    """
    rng = np.random.default_rng(seed)
    frequency = np.maximum(np.arange(samples // 2 + 1), 1.0)
    noises = []
    shape = (per_colour, frequency.size)
    for exponent in (0.0, 1.0, 2.0):
        spectrum = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2), n=samples)
        noises.append(noise / np.sqrt(np.mean(np.square(noise), axis=1, keepdims=True)))
    return np.concatenate(noises).astype(np.float32)
