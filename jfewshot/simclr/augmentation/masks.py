"""SpecAugment's two masks (Park et al., Interspeech 2019): some frames, some channels, to zero, the mean of
normalised features."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


def interval(key: Key[Array, ""], size: int, limit: Int[Array, ""] | int, widest: int) -> Bool[Array, "size"]:
    """A run of width U{0 .. widest}, at most `limit`, starting anywhere such that it lies within the first `limit` of
    `size`."""
    width_key, start_key = jax.random.split(key)
    width = jnp.minimum(jax.random.randint(width_key, (), 0, widest + 1), limit)
    start = jax.random.randint(start_key, (), 0, limit - width + 1)
    place = jnp.arange(size)
    return (place >= start) & (place < start + width)


def mask_spectrogram(
    key: Key[Array, ""],
    features: Float[Array, "frames mels"],
    n_frames: Int[Array, ""],
    widest_time: int = 40,
    widest_frequency: int = 10,
) -> Float[Array, "frames mels"]:
    """One mask over time, one over frequency; the paper's 0-40 frames and 0-10 channels. A width of 0 switches a mask
    off."""
    time_key, frequency_key = jax.random.split(key)
    frames = interval(time_key, features.shape[0], n_frames, widest_time)
    mels = interval(frequency_key, features.shape[1], features.shape[1], widest_frequency)
    return jnp.where(frames[:, None] | mels, 0.0, features)
