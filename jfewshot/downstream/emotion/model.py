"""The emotion classifier: a head on the frames of a frozen encoder, or a head with an encoder that is trained too."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.encoder import Encoder, EncoderConfig, mean_over_frames


class LightHead(nnx.Module):
    """Projection of every frame, average over the true frames, linear map to the classes: s3prl's for emotion.

    The projection is linear, so the average is taken first: the same numbers for a fraction of the work.
    """

    def __init__(self, dim: int, n_classes: int, width: int, *, rngs: nnx.Rngs):
        self.projection = nnx.Linear(dim, width, rngs=rngs)
        self.output = nnx.Linear(width, n_classes, rngs=rngs)

    def __call__(
        self, frames: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch classes"]:
        """Logits. `keys` (dropout's) are not used."""
        return self.output(self.projection(mean_over_frames(frames, n_frames)))


class PaperHead(nnx.Module):
    """A transformer encoder over the frames, average over the true frames, one feed-forward layer to the classes."""

    def __init__(self, dim: int, n_classes: int, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.transformer = Encoder(dataclasses.replace(config, n_mels=dim), rngs=rngs)
        self.output = nnx.Linear(config.d_model, n_classes, rngs=rngs)

    def __call__(
        self, frames: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch classes"]:
        """Logits; with keys, one per utterance, dropout."""
        states, n_frames = self.transformer(frames, n_frames, keys)
        return self.output(mean_over_frames(states[-1], n_frames))


class Classifier(nnx.Module):
    """A head, and the encoder below it where that learns too.

    Args:
      dim: numbers per frame.
      n_classes: emotions.
      head: the paper's transformer, or the light head's width.
      encoder: learns too; `dim` is its number of mel bins then.
      layer: the hidden state that the head stands on.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        head: EncoderConfig | int,
        encoder: EncoderConfig | None = None,
        layer: int = -1,
        *,
        rngs: nnx.Rngs,
    ):
        self.layer = layer
        if encoder is not None:
            self.encoder = Encoder(encoder, rngs=rngs)
            dim = encoder.d_model
        if isinstance(head, int):
            self.head: LightHead | PaperHead = LightHead(dim, n_classes, head, rngs=rngs)
        else:
            self.head = PaperHead(dim, n_classes, head, rngs=rngs)

    def __call__(
        self,
        frames: Float[Array, "batch frames dim"],
        n_frames: Int[Array, "batch"],
        keys: Key[Array, "batch"] | None = None,
    ) -> Float[Array, "batch classes"]:
        """Logits, float32; frames past an utterance's end change nothing."""
        head_keys = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
        if hasattr(self, "encoder"):
            states, n_frames = self.encoder(frames, n_frames, keys)
            frames = states[self.layer]
        return self.head(frames, n_frames, head_keys).astype(jnp.float32)
