"""The emotion classifier: a head on the frames of a frozen encoder, or a head with an encoder that is trained too."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.encoder import Encoder, EncoderConfig, mean_over_frames


class LightHead(nnx.Module):
    """The head of s3prl for emotion: a projection of every frame, the average over true frames, and a linear layer.

    The projection is linear, so averaging first gives the same result with less computation.
    """

    def __init__(self, dim: int, n_classes: int, width: int, *, rngs: nnx.Rngs):
        self.projection = nnx.Linear(dim, width, rngs=rngs)
        self.output = nnx.Linear(width, n_classes, rngs=rngs)

    def __call__(
        self, frames: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch classes"]:
        """Logits. There is no dropout, so `keys` is not used."""
        return self.output(self.projection(mean_over_frames(frames, n_frames)))


class PaperHead(nnx.Module):
    """The head of the paper: a transformer encoder, the average over true frames, and a linear layer."""

    def __init__(self, dim: int, n_classes: int, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.transformer = Encoder(dataclasses.replace(config, n_mels=dim), rngs=rngs)
        self.output = nnx.Linear(config.d_model, n_classes, rngs=rngs)

    def __call__(
        self, frames: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch classes"]:
        """Logits. Dropout is switched on by keys, one per utterance."""
        states, n_frames = self.transformer(frames, n_frames, keys)
        return self.output(mean_over_frames(states[-1], n_frames))


class Classifier(nnx.Module):
    """A head, and below it an encoder if one is trained too.

    Args:
      dim: numbers per frame; with an encoder, its number of mel bins.
      n_classes: number of emotions.
      head: settings of the paper's transformer, or width of the light head.
      encoder: the encoder that is trained too; None for frozen frames.
      layer: number of the encoder's hidden state that the head uses; -1 is the last.
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
        """Logits, float32; frames past the end of an utterance have no influence."""
        head_keys = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
        if hasattr(self, "encoder"):
            states, n_frames = self.encoder(frames, n_frames, keys)
            frames = states[self.layer]
        return self.head(frames, n_frames, head_keys).astype(jnp.float32)
