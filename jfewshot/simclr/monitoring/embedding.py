"""Computes embeddings of a fixed set of waves with the parameters of a step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.encoder import mean_over_frames
from jfewshot.simclr.features import fbank, normalise
from jfewshot.training.model import Params

_BATCH = 64


class Embedder:
    """Embeds waves as extraction does with an exported encoder: by the last layer, without augmentation and dropout.

    Args:
      waves: mono waves in [-1, 1] at the sample rate of the filter bank; each has at least one frame.
      mean: mean of the features over the training set, (mels,).
      std: standard deviation of the features over the training set, (mels,).
      config: settings of the run.
      build: from parameters to the model.
      pooling: `mean`, or `mean_std` for mean and standard deviation side by side.
    """

    def __init__(
        self,
        waves: Sequence[Float32[np.ndarray, " _"]],
        mean: Float32[np.ndarray, " mels"],
        std: Float32[np.ndarray, " mels"],
        config: TrainConfig,
        build: Callable[[Params], Any],
        pooling: str = "mean",
    ):
        # A batch has waves of similar length. All batches have one size, so that there is one compilation.
        self._order = np.argsort([len(wave) for wave in waves], kind="stable")
        rate, rows = config.fbank.sample_rate, min(_BATCH, len(waves))
        longest = -(-max(map(len, waves)) // rate) * rate
        self._batches = []
        for start in range(0, len(waves), rows):
            members = self._order[start : start + rows]
            batch, lengths = np.zeros((rows, longest), np.float32), np.zeros(rows, np.int32)
            for row, number in enumerate(members):
                batch[row, : len(waves[number])], lengths[row] = waves[number], len(waves[number])
            self._batches.append((batch, lengths))
        self._n = len(waves)

        def embed(
            params: Params, batch: Float[Array, "rows samples"], lengths: Int[Array, "rows"]
        ) -> Float[Array, "rows dim"]:
            features, n_frames = fbank(batch, lengths, config.fbank)
            states, n_frames = build(params).encoder(normalise(features, n_frames, mean, std), n_frames)
            pooled = mean_over_frames(states[-1], n_frames)
            if pooling == "mean":
                return pooled
            square = mean_over_frames(jnp.square(states[-1] - pooled[:, None]), n_frames)
            return jnp.concatenate([pooled, jnp.sqrt(square)], axis=1)

        self._embed = jax.jit(embed)

    def __call__(self, params: Params) -> Float32[np.ndarray, "n dim"]:
        """Compute the embeddings of all waves, in the order of the waves."""
        parts = [np.asarray(self._embed(params, *batch)) for batch in self._batches]
        rows = np.concatenate(parts)[: self._n]
        embeddings = np.empty_like(rows)
        embeddings[self._order] = rows
        return embeddings
