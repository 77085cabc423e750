"""Cepstral mean and variance normalisation, and the statistics that it needs.

The choice of the statistics has consequences. With statistics per utterance, the mean over time of every feature becomes zero, so
mean-pooled features contain no information, and no baseline can use such features. Statistics per speaker that are computed
during extraction reveal the speaker. So exported encoders contain the global statistics of the training set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

STD_FLOOR = 1e-5


@dataclass
class Moments:
    """Number, mean and sum of squared deviations of a stream of frames, in float64.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1979), so that the result agrees with that of two passes
    for any division of the stream. The textbook formula E[x²] - E[x]² loses all digits if the mean is large.
    """

    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0

    def update(self, frames: np.ndarray) -> "Moments":
        """Add frames, (n, dim), to the statistics. Returns itself."""
        frames = np.asarray(frames, np.float64)
        if len(frames):
            mean = frames.mean(axis=0)
            self.merge(Moments(len(frames), mean, np.square(frames - mean).sum(axis=0)))
        return self

    def merge(self, other: "Moments") -> "Moments":
        """Merge the statistics of another stream into these. Returns itself."""
        if other.count == 0:
            return self
        total = self.count + other.count
        delta = other.mean - self.mean
        self.mean = self.mean + delta * (other.count / total)
        self.squares = self.squares + other.squares + np.square(delta) * (self.count * other.count / total)
        self.count = total
        return self

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation (ddof 0), at least `STD_FLOOR`.

        Raises:
          ValueError: if no frame has been added yet.
        """
        if self.count == 0:
            raise ValueError("no frames seen yet: a mean and a deviation need at least one")
        return np.maximum(np.sqrt(self.squares / self.count), STD_FLOOR)


@dataclass
class SpeakerMoments:
    """Statistics of each speaker, and of all speakers together."""

    by_speaker: dict[str, Moments] = field(default_factory=dict)

    def update(self, speaker: str, frames: np.ndarray) -> "SpeakerMoments":
        """Add frames of one speaker, (n, dim). Returns itself."""
        self.by_speaker.setdefault(speaker, Moments()).update(frames)
        return self

    @property
    def all(self) -> Moments:
        """The statistics of the frames of all speakers together."""
        return merged(self.by_speaker[name] for name in sorted(self.by_speaker))


def merged(parts: Iterable[Moments]) -> Moments:
    """Merge the statistics of several streams."""
    whole = Moments()
    for part in parts:
        whole.merge(part)
    return whole


def normalise(
    features: Float[Array, "*batch frames mels"],
    n_frames: Int[Array, "*batch"],
    mean: Float[Array, "*stats mels"] | np.ndarray,
    std: Float[Array, "*stats mels"] | np.ndarray,
) -> Float[Array, "*batch frames mels"]:
    """Subtract given means and divide by given standard deviations; frames past an utterance's end become zero.

    Args:
      features: features of one utterance or of a batch, (frames, mels) or (batch, frames, mels).
      n_frames: number of true frames of each utterance.
      mean: one mean per mel channel: (mels,) for all utterances, or (batch, mels) with the means of each utterance's
        speaker.
      std: standard deviations in the same shape as `mean`.

    Returns:
      the normalised features.
    """
    mean, std = jnp.asarray(mean, features.dtype), jnp.asarray(std, features.dtype)
    if mean.ndim > 1:
        mean, std = mean[..., None, :], std[..., None, :]
    shape = (1,) * (features.ndim - mean.ndim)
    scaled = (features - mean.reshape(shape + mean.shape)) / std.reshape(shape + std.shape)
    return jnp.where(_is_frame(features, n_frames), scaled, 0.0)


def normalise_per_utterance(
    features: Float[Array, "*batch frames mels"], n_frames: Int[Array, "*batch"]
) -> Float[Array, "*batch frames mels"]:
    """Normalise every utterance to mean zero and standard deviation one over its own true frames; see the warning above."""
    is_frame = _is_frame(features, n_frames)
    count = jnp.maximum(n_frames, 1).astype(features.dtype)[..., None, None]
    mean = jnp.sum(jnp.where(is_frame, features, 0.0), axis=-2, keepdims=True) / count
    centred = jnp.where(is_frame, features - mean, 0.0)
    variance = jnp.sum(jnp.square(centred), axis=-2, keepdims=True) / count
    return centred / jnp.maximum(jnp.sqrt(variance), STD_FLOOR)


def _is_frame(features: Float[Array, "*batch frames mels"], n_frames: Int[Array, "*batch"]) -> Array:
    return jnp.arange(features.shape[-2])[:, None] < n_frames[..., None, None]
