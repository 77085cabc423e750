"""The phone classifier: one or two linear layers on every frame, of a frozen encoder or of one that is trained too."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.encoder import Encoder, EncoderConfig


class PhoneClassifier(nnx.Module):
    """s3prl's probes for TIMIT: logits = W x + b, or W2 relu(W1 x + b1) + b2, for every frame x.

    Args:
      dim: numbers per frame.
      n_classes: phones that are trained on.
      hidden: width of the hidden layer; 0 for none.
      context: frames on either side that are put beside each frame; zeros where there are none.
      encoder: learns too; `dim` is its number of mel bins then.
      layer: the encoder's hidden state that the probe stands on.
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
        """Logits of every frame, float32; those past an utterance's end have no meaning.

        Args:
          frames: of each utterance, zero past its end.
          n_frames: true frames of each utterance.
          keys: one per utterance, for the encoder's dropout; None: no dropout.

        Returns:
          a row for each frame; four frames are one where the encoder makes one of four.
        """
        if hasattr(self, "encoder"):
            states, n_frames = self.encoder(frames, n_frames, keys)
            frames = states[self.layer]
        frames = with_neighbours(frames, self.context)
        if hasattr(self, "hidden"):
            frames = jax.nn.relu(self.hidden(frames))
        return self.output(frames).astype(jnp.float32)


def with_neighbours(frames: Float[Array, "batch frames dim"], context: int) -> Float[Array, "batch frames wide"]:
    """Each frame with so many frames before and behind it, side by side in the order of time; zeros beyond the ends."""
    if context == 0:
        return frames
    padded = jnp.pad(frames, ((0, 0), (context, context), (0, 0)))
    return jnp.concatenate([padded[:, n : n + frames.shape[1]] for n in range(2 * context + 1)], axis=-1)
