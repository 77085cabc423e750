"""TERA's alteration of the features (Liu, Li and Lee, TASLP 2021, section III-B), which the reconstruction has to
undo.

Time: a share of the frames is altered, in segments of W_T frames whose starts are drawn without replacement. 80% of the segments
are set to zero, 10% are replaced by another segment of the same utterance, and 10% stay as they are. Frequency: a run of 0 to W_C
channels is set to zero in all frames. Magnitude: with some probability, noise is added to all features.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jfewshot.simclr.settings import AlterationConfig


def alter(
    key: Key[Array, ""], features: Float[Array, "frames mels"], n_frames: Int[Array, ""], config: AlterationConfig
) -> tuple[Float[Array, "frames mels"], Bool[Array, "frames mels"]]:
    """Alter one utterance.

    Args:
      key: random key of all choices.
      features: normalised features; zero past `n_frames`.
      n_frames: number of true frames.
      config: settings of the alteration; static.

    Returns:
      the altered features, and True for the elements that the loss of the reconstruction counts. These are the altered elements
      and the segments that stayed as they are, but no padding and, as in s3prl, no elements to which only noise was added.
    """
    time_key, channel_key, magnitude_key = jax.random.split(key, 3)
    true = (jnp.arange(features.shape[0]) < n_frames)[:, None]
    asked = jnp.zeros(features.shape, bool)
    altered = features
    if config.time:
        altered, frames = _alter_time(time_key, features, n_frames, config)
        asked |= frames[:, None]
    if config.channel:
        mels = _channels(channel_key, features.shape[1], config.channel_width)
        altered = jnp.where(mels, 0.0, altered)
        asked |= mels
    if config.magnitude:
        dice_key, noise_key = jax.random.split(magnitude_key)
        noise = config.magnitude_std * jax.random.normal(noise_key, features.shape)
        altered = altered + jnp.where(jax.random.bernoulli(dice_key, config.magnitude_share), noise, 0.0)
    return jnp.where(true, altered, 0.0), asked & true


def _channels(key: Key[Array, ""], n_mels: int, widest: int) -> Bool[Array, "mels"]:
    width_key, start_key = jax.random.split(key)
    width = jax.random.randint(width_key, (), 0, widest + 1)
    start = jax.random.randint(start_key, (), 0, n_mels - width + 1)
    place = jnp.arange(n_mels)
    return (place >= start) & (place < start + width)


def _alter_time(
    key: Key[Array, ""], features: Float[Array, "frames mels"], n_frames: Int[Array, ""], config: AlterationConfig
) -> tuple[Float[Array, "frames mels"], Bool[Array, "frames"]]:
    start_key, dice_key, source_key = jax.random.split(key, 3)
    total, width = features.shape[0], config.time_width
    place = jnp.arange(total)
    n_places = jnp.maximum(n_frames - width + 1, 0)
    wanted = jnp.minimum(
        jnp.floor(n_frames.astype(jnp.float32) * (config.time_share / width)).astype(jnp.int32), n_places
    )
    # Draws without replacement: chooses the places that have the `wanted` smallest random numbers.
    draws = jnp.where(place < n_places, jax.random.uniform(start_key, (total,)), 2.0)
    rank = jnp.argsort(jnp.argsort(draws))
    is_start = (rank < wanted) & (place < n_places)
    # A frame belongs to the latest segment that begins at most width - 1 frames before it.
    start = jax.lax.cummax(jnp.where(is_start, place, -total))
    within = place - start
    covered = within < width

    dice = jax.random.uniform(dice_key, (total,) if config.dice == "segment" else (1,))
    dice = jnp.broadcast_to(dice, (total,))[jnp.maximum(start, 0)]
    source = jnp.floor(jax.random.uniform(source_key, (total,)) * n_places.astype(jnp.float32)).astype(jnp.int32)
    source = jnp.clip(source[jnp.maximum(start, 0)] + within, 0, total - 1)
    zeroed = covered & (dice < config.zero_share)
    replaced = covered & (dice >= config.zero_share) & (dice < config.zero_share + config.replace_share)
    out = jnp.where(replaced[:, None], features[source], jnp.where(zeroed[:, None], 0.0, features))
    return out, covered
