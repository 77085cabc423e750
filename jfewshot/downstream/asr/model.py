"""The recognition model: an encoder or frozen frames, a CTC layer on top, and a decoder that attends to the frames."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.downstream.asr.decoder import Decoder
from jfewshot.downstream.asr.recurrent import BidirectionalLayers
from jfewshot.downstream.asr.settings import DecoderConfig, RecurrentConfig
from jfewshot.simclr.encoder import Encoder, EncoderConfig


class Recogniser(nnx.Module):
    """Attention-CTC (a `DecoderConfig`), or recurrent layers and CTC (a `RecurrentConfig`).

    Args:
      dim: numbers per input frame; with an encoder, its number of mel bins.
      n_units: number of units, the blank included.
      head: sizes of the decoder or of the recurrent layers, which also says which of the two the model has.
      encoder: the encoder that is trained too; None for frozen frames.
      layer: number of the encoder's hidden state that the head uses; -1 is the last.
    """

    def __init__(
        self,
        dim: int,
        n_units: int,
        head: DecoderConfig | RecurrentConfig,
        encoder: EncoderConfig | None = None,
        layer: int = -1,
        *,
        rngs: nnx.Rngs,
    ):
        self.layer, self.has_encoder = layer, encoder is not None
        self.has_decoder = isinstance(head, DecoderConfig)
        if encoder is not None:
            self.encoder = Encoder(encoder, rngs=rngs)
            dim = encoder.d_model
        if isinstance(head, RecurrentConfig):
            self.recurrent = BidirectionalLayers(dim, head, rngs=rngs)
            dim = 2 * head.size
        else:
            self.decoder = Decoder(n_units, dim, head, rngs=rngs)
        self.ctc = nnx.Linear(dim, n_units, rngs=rngs)

    def encode(
        self,
        heard: Float[Array, "batch frames dim"],
        n_frames: Int[Array, "batch"],
        keys: Key[Array, "batch"] | None = None,
    ) -> tuple[Float[Array, "batch out_frames width"], Int[Array, "batch"]]:
        """Compute the frames that CTC and the decoder use.

        Args:
          heard: frames of each utterance, (batch, frames, dim).
          n_frames: number of true frames of each utterance.
          keys: one random key per utterance, for dropout; None switches dropout off.

        Returns:
          the frames after the encoder or the recurrent layers, and the number of true frames of each utterance.
        """
        if self.has_encoder:
            states, n_frames = self.encoder(heard, n_frames, keys)
            heard = states[self.layer]
        if not self.has_decoder:
            head_keys = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
            heard = self.recurrent(heard, n_frames, head_keys)
        return heard, n_frames

    def ctc_logits(self, frames: Float[Array, "batch frames width"]) -> Float[Array, "batch frames n_units"]:
        """CTC logits of every frame, float32."""
        return self.ctc(frames).astype(jnp.float32)
