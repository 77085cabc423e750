"""Cepstral mean and variance normalisation, and the statistics it needs.

Which statistics to take is a choice with consequences. Per utterance, the time mean of every feature becomes zero, so
mean-pooled features carry nothing: no baseline can use it. Per speaker, statistics collected at extraction give the
speaker away. Exported encoders therefore carry the training set's global statistics.
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
    """Count, mean and sum of squared deviations of a stream of frames, in float64.

    Batches are merged by Chan, Golub and LeVeque's (1979) pairwise update, so that the result agrees with the
    two-pass one however the stream was cut; the textbook E[x²] - E[x]² loses all digits where the mean is large.
    """

    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0

    def update(self, frames: np.ndarray) -> "Moments":
        """Take in frames, (n, dim). Returns itself."""
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
          ValueError: before the first frame.
        """
        if self.count == 0:
            raise ValueError("no frames seen yet: a mean and a deviation need at least one")
        return np.maximum(np.sqrt(self.squares / self.count), STD_FLOOR)


@dataclass
class SpeakerMoments:
    """Statistics of each speaker, and of all together."""

    by_speaker: dict[str, Moments] = field(default_factory=dict)

    def update(self, speaker: str, frames: np.ndarray) -> "SpeakerMoments":
        """Take in one speaker's frames, (n, dim). Returns itself."""
        self.by_speaker.setdefault(speaker, Moments()).update(frames)
        return self

    @property
    def all(self) -> Moments:
        """The statistics of all speakers' frames together."""
        return merged(self.by_speaker[name] for name in sorted(self.by_speaker))


def merged(parts: Iterable[Moments]) -> Moments:
    """One set of statistics for several streams."""
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
    """Every utterance to mean zero and deviation one over its own true frames. See the module's warning."""
    is_frame = _is_frame(features, n_frames)
    count = jnp.maximum(n_frames, 1).astype(features.dtype)[..., None, None]
    mean = jnp.sum(jnp.where(is_frame, features, 0.0), axis=-2, keepdims=True) / count
    centred = jnp.where(is_frame, features - mean, 0.0)
    variance = jnp.sum(jnp.square(centred), axis=-2, keepdims=True) / count
    return centred / jnp.maximum(jnp.sqrt(variance), STD_FLOOR)


def _is_frame(features: Float[Array, "*batch frames mels"], n_frames: Int[Array, "*batch"]) -> Array:
    return jnp.arange(features.shape[-2])[:, None] < n_frames[..., None, None]
