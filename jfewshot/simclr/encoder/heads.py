"""The heads on top of the encoder during training, which are removed afterwards."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jfewshot.simclr.encoder.transformer import layer_norm, linear, normed
from jfewshot.simclr.settings import EncoderConfig


def mean_over_frames(
    hidden: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"]
) -> Float[Array, "batch dim"]:
    """Mean over the true frames; zero for an utterance without true frames."""
    is_frame = (jnp.arange(hidden.shape[1]) < n_frames[:, None])[..., None]
    return jnp.sum(jnp.where(is_frame, hidden, 0.0), axis=1) / jnp.maximum(n_frames, 1)[:, None].astype(hidden.dtype)


# Added to the variance, because the gradient of a square root is not bounded at zero.
_LEAST_VARIANCE = 1e-6


def pooled(
    hidden: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], pooling: str
) -> Float[Array, "batch pooled"]:
    """Pool the true frames of each utterance for the projection head.

    Args:
      hidden: hidden states.
      n_frames: number of true frames of each utterance.
      pooling: `mean`, or `mean_std` for the mean followed by the standard deviation, sqrt(variance + 1e-6).

    Returns:
      one row for each utterance, dim or 2 dim wide.
    """
    mean = mean_over_frames(hidden, n_frames)
    if pooling == "mean":
        return mean
    variance = mean_over_frames(jnp.square(hidden - mean[:, None]), n_frames)
    return jnp.concatenate([mean, jnp.sqrt(variance + _LEAST_VARIANCE)], axis=1)


class Projection(nnx.Module):
    """The projection head of the paper: z = W2 relu(W1 h) for the pooled hidden state h."""

    def __init__(self, config: EncoderConfig, d_hidden: int, d_out: int, pooling: str = "mean", *, rngs: nnx.Rngs):
        # He initialisation is larger than the encoder's: at the start, pooled states differ little between utterances.
        def layer(n_in, n_out):
            return nnx.Linear(n_in, n_out, kernel_init=nnx.initializers.he_normal(), rngs=rngs)

        self.hidden, self.output = (
            layer(config.d_model * (1 if pooling == "mean" else 2), d_hidden),
            layer(d_hidden, d_out),
        )

    def __call__(self, pooled: Float[Array, "batch pooled"]) -> Float[Array, "batch out"]:
        """Project pooled states, in float32."""
        return self.output(jax.nn.relu(self.hidden(pooled)))


class SpectrogramHead(nnx.Module):
    """The spectrogram head of TERA: linear layer, GELU, LayerNorm, linear layer. If the encoder subsamples, each output frame
    predicts all input frames that it replaces."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.hidden = linear(config.d_model, config.d_model, config, rngs)
        self.norm = layer_norm(config.d_model, config, rngs)
        self.output = linear(config.d_model, config.n_mels * config.subsampling, config, rngs)

    def __call__(
        self, hidden: Float[Array, "batch out_frames dim"], n_input_frames: int
    ) -> Float[Array, "batch frames mels"]:
        """Predicted features of the first `n_input_frames` input frames, float32."""
        x = jax.nn.gelu(self.hidden(hidden.astype(self.config.dtype)), approximate=False)
        x = self.output(normed(self.norm, x)).astype(jnp.float32)
        return x.reshape(x.shape[0], -1, self.config.n_mels)[:, :n_input_frames]
