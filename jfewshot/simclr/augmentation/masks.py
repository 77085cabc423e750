"""The two masks of SpecAugment (Park et al., Interspeech 2019). Some frames and some channels are set to zero, which is the
mean of normalised features."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


def interval(
    key: Key[Array, ""], size: int, limit: Int[Array, ""] | int, widest: Int[Array, ""] | int
) -> Bool[Array, "size"]:
    """Choose a random run of consecutive places.

    The width is drawn from U{0 .. widest} and cut to `limit`. The start is uniform over the places that leave the whole
    run within the first `limit` places.

    Args:
      key: random key that decides the width and the start.
      size: number of places, of the returned array.
      limit: number of places in which the run may lie, at most `size`.
      widest: largest width, in places; 0 gives an empty run.

    Returns:
      bool, (size,): True within the run.
    """
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
    widest_share: float = 1.0,
) -> Float[Array, "frames mels"]:
    """Set one run of frames and one run of mel channels to zero (Speech SimCLR masks 0-40 frames and 0-10 channels).

    Args:
      key: random key that decides both runs.
      features: features of one utterance, (frames, mels).
      n_frames: number of true frames; the masked frames lie among these.
      widest_time: largest number of masked frames; 0 masks none.
      widest_frequency: largest number of masked mel channels; 0 masks none.
      widest_share: largest share of the true frames that is masked. 40 frames, as in the paper, are 3% of its longest utterances,
        but would be 40% of one second.

    Returns:
      the features, zero in the masked frames and channels.
    """
    time_key, frequency_key = jax.random.split(key)
    widest: Int[Array, ""] | int = widest_time
    if widest_share < 1:
        widest = jnp.minimum(widest_time, jnp.floor(widest_share * n_frames.astype(jnp.float32)).astype(jnp.int32))
    frames = interval(time_key, features.shape[0], n_frames, widest)
    mels = interval(frequency_key, features.shape[1], features.shape[1], widest_frequency)
    return jnp.where(frames[:, None] | mels, 0.0, features)
