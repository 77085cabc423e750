"""Makes one view of a waveform: decides which augmentations happen, and applies these in order.

The order follows the path of the sound: first the voice changes (speed, pitch), then the room (reverberation), and then noise is
added.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jfewshot.simclr.augmentation.noise import add_noise, coloured_noise
from jfewshot.simclr.augmentation.noise_pool import NoisePool
from jfewshot.simclr.augmentation.pitch import pitch, replay
from jfewshot.simclr.augmentation.reverb import TAIL_S, impulse_responses, reverb, reverb_continuous
from jfewshot.simclr.augmentation.rooms import room_responses
from jfewshot.simclr.augmentation.speed import output_samples as samples_after_speed
from jfewshot.simclr.augmentation.speed import speed
from jfewshot.simclr.settings import AugmentationConfig


class Banks(NamedTuple):
    """Arrays that stay on the device: impulse responses of rooms, and noises. Arrays that are not used are empty."""

    rooms: Float[Array, "rooms tail"]
    noises: Float[Array, "noises noise_samples"]


def noise_pool(config: AugmentationConfig, samples: int, sample_rate: int, seed: int) -> NoisePool | None:
    """Make the pool of recordings from which noise is drawn.

    Args:
      config: whether there is noise, and the folder of recordings.
      samples: largest number of samples of a wave before its speed is changed.
      sample_rate: Hz.
      seed: decides which pieces are drawn.

    Returns:
      the pool; None if noise is generated or switched off.
    """
    if not config.may("noise") or config.noise_folder is None:
        return None
    return NoisePool(config.noise_folder, output_samples(samples, config), sample_rate, seed, config.noise_pieces)


def make_banks(
    config: AugmentationConfig, samples: int, sample_rate: int, seed: int, pool: NoisePool | None = None
) -> Banks:
    """Prepare the room responses and the noises that the augmentation draws from.

    Args:
      config: which augmentations are switched on, and the folders of noise recordings and of room responses, if there are any.
      samples: largest number of samples of a wave before its speed is changed.
      sample_rate: Hz.
      seed: seed of the generated noises, or of the choice among recorded pieces and rooms.
      pool: the pool from `noise_pool`, whose first bank is used; None to make the pool here if it is needed.

    Returns:
      the banks; empty arrays for augmentations that are switched off or need no bank.
    """
    rooms = jnp.zeros((0, 0))
    if config.may("reverb") and not config.reverb_continuous:
        if config.rooms_folder is None:
            rooms = jnp.asarray(impulse_responses(sample_rate))
        else:
            rooms = jnp.asarray(room_responses(config.rooms_folder, sample_rate, seed, config.rooms, TAIL_S))
    noises = jnp.zeros((0, 0))
    if config.may("noise"):
        pool = pool or noise_pool(config, samples, sample_rate, seed)
        made = coloured_noise(output_samples(samples, config), seed) if pool is None else pool.bank(0)
        noises = jnp.asarray(made)
    return Banks(rooms, noises)


def output_samples(n_samples: int, config: AugmentationConfig) -> int:
    """The static size, in samples, of the array that holds an augmented wave."""
    return samples_after_speed(n_samples, config.slowest) if config.may("speed") else n_samples


def augment_wave(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    banks: Banks,
    config: AugmentationConfig,
    sample_rate: int = 16_000,
) -> tuple[Float[Array, "augmented"], Int[Array, ""]]:
    """Make one random view of one utterance.

    Args:
      key: random key of all choices.
      wave: samples; values past `length` have no influence.
      length: number of true samples.
      banks: room responses and noises, from `make_banks`.
      config: settings of the augmentation; static.
      sample_rate: sample rate in Hz; static.

    Returns:
      the view, `output_samples` long and zero past its new length.
    """
    keys = jax.random.split(key, 8)
    wave = jnp.where(jnp.arange(wave.shape[0]) < length, wave, 0.0)
    if config.may("speed") or config.may("pitch"):
        wave, length = _replayed(keys[:4], wave, length, config)
    if config.may("reverb"):
        if config.reverb_continuous:
            roomy = reverb_continuous(keys[4], wave, length, sample_rate)
        else:
            roomy = reverb(keys[4], wave, length, banks.rooms)
        wave, length = _perhaps(keys[5], config.reverb_probability, roomy, (wave, length))
    if config.may("noise"):
        noisy = add_noise(keys[6], wave, length, banks.noises, config.lowest_snr_db, config.highest_snr_db)
        wave, length = _perhaps(keys[7], config.noise_probability, noisy, (wave, length))
    return wave, length


def _replayed(
    keys: Key[Array, "4"], wave: Float[Array, "samples"], length: Int[Array, ""], config: AugmentationConfig
) -> tuple[Float[Array, "augmented"], Int[Array, ""]]:
    """Change speed and pitch; if both may happen, one resampling does both (`replay`)."""
    as_it_was = jnp.pad(wave, (0, output_samples(wave.shape[0], config) - wave.shape[0])), length
    if not config.may("pitch"):
        faster_only = speed(keys[0], wave, length, config.slowest, config.fastest)
        return _perhaps(keys[1], config.speed_probability, faster_only, as_it_was)
    if not config.may("speed"):
        shifted_only = pitch(keys[2], *as_it_was, config.lowest_cents, config.highest_cents)
        return _perhaps(keys[3], config.pitch_probability, shifted_only, as_it_was)
    faster, shifted = _happens(keys[1], config.speed_probability), _happens(keys[3], config.pitch_probability)
    factor = jax.random.uniform(keys[0], minval=config.slowest, maxval=config.fastest)
    cents = jax.random.uniform(keys[2], minval=config.lowest_cents, maxval=config.highest_cents)
    changed = replay(
        wave,
        length,
        jnp.where(faster, factor, 1.0),
        jnp.where(shifted, cents, 0.0),
        config.highest_cents,
        output_samples(wave.shape[0], config),
    )
    return jax.tree.map(lambda yes, no: jnp.where(faster | shifted, yes, no), changed, as_it_was)


def _perhaps(key: Key[Array, ""], probability: float, happened, not_happened):
    """Choose between two (wave, length); under vmap both are computed."""
    if probability >= 1.0:
        return happened
    chosen = _happens(key, probability)
    return jax.tree.map(lambda yes, no: jnp.where(chosen, yes, no), happened, not_happened)


def _happens(key: Key[Array, ""], probability: float) -> Bool[Array, ""]:
    return jax.random.bernoulli(key, probability)
