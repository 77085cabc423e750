"""The phone classifier: one or two linear layers on every frame, of a frozen encoder or of one that is trained too."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.encoder import Encoder, EncoderConfig


class PhoneClassifier(nnx.Module):
    """The probes of s3prl for TIMIT: logits = W x + b, or W2 relu(W1 x + b1) + b2, for every frame x.

    Args:
      dim: numbers per frame; with an encoder, its number of mel bins.
      n_classes: number of phones that are trained on.
      hidden: width of the hidden layer; 0 for none.
      context: number of frames on either side that are appended to each frame; zeros beyond the ends.
      encoder: the encoder that is trained too; None for frozen frames.
      layer: number of the encoder's hidden state that the probe uses; -1 is the last.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        hidden: int = 0,
        context: int = 0,
        encoder: EncoderConfig | None = None,
        layer: int = -1,
        *,
        rngs: nnx.Rngs,
    ):
        self.layer, self.context = layer, context
        if encoder is not None:
            self.encoder = Encoder(encoder, rngs=rngs)
            dim = encoder.d_model
        dim *= 2 * context + 1
        if hidden:
            self.hidden = nnx.Linear(dim, hidden, rngs=rngs)
        self.output = nnx.Linear(hidden or dim, n_classes, rngs=rngs)

    def __call__(
        self,
        frames: Float[Array, "batch frames dim"],
        n_frames: Int[Array, "batch"],
        keys: Key[Array, "batch"] | None = None,
    ) -> Float[Array, "batch out_frames classes"]:
        """Compute the logits of every frame.

        Args:
          frames: frames of each utterance, zero past its end.
          n_frames: number of true frames of each utterance.
          keys: one random key per utterance, for the encoder's dropout; None switches dropout off.

        Returns:
          float32 logits of every frame, or of every fourth frame if the encoder subsamples. Logits past the end of an utterance
          have no meaning.
        """
        if hasattr(self, "encoder"):
            states, n_frames = self.encoder(frames, n_frames, keys)
            frames = states[self.layer]
        frames = with_neighbours(frames, self.context)
        if hasattr(self, "hidden"):
            frames = jax.nn.relu(self.hidden(frames))
        return self.output(frames).astype(jnp.float32)


def with_neighbours(frames: Float[Array, "batch frames dim"], context: int) -> Float[Array, "batch frames wide"]:
    """Join each frame with `context` frames before and after it, in the order of time; zeros beyond the ends."""
    if context == 0:
        return frames
    padded = jnp.pad(frames, ((0, 0), (context, context), (0, 0)))
    return jnp.concatenate([padded[:, n : n + frames.shape[1]] for n in range(2 * context + 1)], axis=-1)
