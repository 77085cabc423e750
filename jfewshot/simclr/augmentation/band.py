"""Limits the band of features, as in a recording with a lower sample rate: mel channels above a random limit are emptied."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jfewshot.simclr.features.fbank import LOG_FLOOR, mel_centres
from jfewshot.simclr.settings import AugmentationConfig, FbankSettings


def limit_band(
    key: Key[Array, ""], features: Float[Array, "frames mels"], config: AugmentationConfig, settings: FbankSettings
) -> Float[Array, "frames mels"]:
    """Remove everything above a random frequency, with the configured probability.

    The limit is drawn from U(lowest_band_hz, highest_band_hz). Channels whose centre lies above it get the logarithm's floor,
    as in a recording that was resampled from a lower rate.

    Args:
      key: random key that decides whether the band is limited, and where.
      features: log-mel energies that are not normalised.
      config: limits and probability; static.
      settings: settings of the filter bank; static.

    Returns:
      the features, with the floor in the channels above the limit.
    """
    whether, where = jax.random.split(key)
    limit = jax.random.uniform(where, minval=config.lowest_band_hz, maxval=config.highest_band_hz)
    above = jnp.asarray(mel_centres(settings)) > limit
    limited = above & jax.random.bernoulli(whether, config.band_limit_probability)
    return jnp.where(limited, np.float32(np.log(LOG_FLOOR)), features)
