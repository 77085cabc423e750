"""The transformer of TERA and Speech SimCLR: an encoder like BERT on filter-bank frames, in which padding has no influence."""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.simclr.encoder.attention import masked_attention
from jfewshot.simclr.encoder.prenet import ConvPrenet
from jfewshot.simclr.settings import EncoderConfig

# Distinguishes the random key of the input's dropout from those of the layers, which use 0 and 1 with a key for each layer.
_INPUT_DROPOUT = 1_000_000
_OFFSET = 1_000_001  # distinguishes the random key of the position offset


class Linear(nnx.Linear):
    """A linear layer that treats all frames of all utterances as one matrix. Then its gradient is a plain matrix product too, and
    XLA needs no transposed copy."""

    def __call__(self, inputs: Float[Array, "*batch n_in"], out_sharding: Any = None) -> Float[Array, "*batch n_out"]:
        """Apply the linear map to the last axis."""
        rows = super().__call__(inputs.reshape(-1, inputs.shape[-1]), out_sharding)
        return rows.reshape(*inputs.shape[:-1], self.out_features)


def linear(n_in: int, n_out: int, config: EncoderConfig, rngs: nnx.Rngs) -> Linear:
    """Make a linear layer with the configured initialisation and compute dtype, and float32 parameters.

    Args:
      n_in: width of the input.
      n_out: width of the output.
      config: gives the standard deviation of the initial weights and the compute dtype.
      rngs: source of the random initial weights.

    Returns:
      the layer.
    """
    init = nnx.initializers.normal(config.init_std)
    return Linear(n_in, n_out, kernel_init=init, dtype=config.dtype, param_dtype=jnp.float32, rngs=rngs)


def layer_norm(size: int, config: EncoderConfig, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Make a LayerNorm in float32.

    The variance is computed in two passes, since the rounding error of E[x²] - E[x]² is larger than TERA's epsilon.

    Args:
      size: width of the input.
      config: gives the epsilon.
      rngs: flax requires it; LayerNorm draws no random numbers.

    Returns:
      the layer.
    """
    return nnx.LayerNorm(
        size,
        epsilon=config.layer_norm_eps,
        use_fast_variance=False,
        dtype=jnp.float32,
        param_dtype=jnp.float32,
        rngs=rngs,
    )


def normed(norm: nnx.LayerNorm, x: Float[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
    """Apply a float32 LayerNorm to an array of any precision; the result has the precision of the array."""
    return norm(x.astype(jnp.float32)).astype(x.dtype)


def dropout(x: Float[Array, "batch frames dim"], rate: float, keys: Key[Array, "batch"] | None, number: int):
    """Dropout with one key per utterance, so that an utterance's mask does not depend on its place in a batch.

    Args:
      x: activations, (batch, frames, dim).
      rate: probability that a number is set to zero, 0-1.
      keys: one random key per utterance; None switches dropout off.
      number: number of this dropout within its layer, so that two dropouts of one key differ.

    Returns:
      the activations after dropout, divided by 1 - rate where they are kept; (batch, frames, dim).
    """
    if keys is None or rate == 0.0:
        return x

    def mask(key):
        return jax.random.bernoulli(jax.random.fold_in(key, number), 1.0 - rate, x.shape[1:])

    return jnp.where(jax.vmap(mask)(keys), x / (1.0 - rate), 0.0).astype(x.dtype)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute x Phi(x), with the normal distribution function by erf. On a CPU this is three times as fast as erfc in
    `jax.nn.gelu`. The absolute error is at most 5e-7; only the relative error far below zero is larger than with erfc."""
    return 0.5 * x * (1.0 + jax.lax.erf(x * 0.5**0.5))


@functools.cache
def sinusoids(n_frames: int, size: int) -> np.ndarray:
    """Position table (Vaswani et al., 2017), sines and cosines interleaved: (n_frames, size), float32."""
    rate = 1.0 / np.power(10000.0, 2 * (np.arange(size) // 2) / size)
    angle = np.arange(n_frames)[:, None] * rate
    return np.where(np.arange(size) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def positions(
    n_frames: int, config: EncoderConfig, keys: Key[Array, "batch"] | None
) -> Float[Array, "rows frames dim"]:
    """Make the vectors that are added to frames to encode their positions.

    Args:
      n_frames: number of frames.
      config: gives the width, and the highest random offset of the first frame's position.
      keys: one random key per utterance, for the offsets; None for no offsets.

    Returns:
      float32; one row for all utterances, or one row for each utterance if there are offsets.
    """
    if keys is None or config.position_offset == 0:
        return jnp.asarray(sinusoids(n_frames, config.d_model), jnp.float32)[None]
    table = jnp.asarray(sinusoids(n_frames + config.position_offset, config.d_model), jnp.float32)

    def moved(key):
        offset = jax.random.randint(jax.random.fold_in(key, _OFFSET), (), 0, config.position_offset + 1)
        return jax.lax.dynamic_slice_in_dim(table, offset, n_frames)

    return jax.vmap(moved)(keys)


class Layer(nnx.Module):
    """Self-attention and a feed-forward part, each with a residual sum and LayerNorm."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.config = config
        d, d_ff = config.d_model, config.d_ff
        self.query, self.key, self.value = (linear(d, d, config, rngs) for _ in range(3))
        self.attention_output = linear(d, d, config, rngs)
        self.attention_norm = layer_norm(d, config, rngs)
        self.intermediate = linear(d, d_ff, config, rngs)
        self.output = linear(d_ff, d, config, rngs)
        self.output_norm = layer_norm(d, config, rngs)

    def __call__(
        self, x: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch frames dim"]:
        """Apply the layer. Attention uses the first `n_frames` frames only; the outputs of later frames have no meaning."""
        rate, before = self.config.dropout, self.config.norm == "pre"
        attended = self.attend(normed(self.attention_norm, x) if before else x, n_frames)
        x = x + dropout(attended, rate, keys, 0)
        x = x if before else normed(self.attention_norm, x)
        hidden = self.intermediate(normed(self.output_norm, x) if before else x)
        x = x + dropout(self.output(gelu(hidden)), rate, keys, 1)
        return x if before else normed(self.output_norm, x)

    def attend(
        self, x: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"]
    ) -> Float[Array, "batch frames dim"]:
        """Attention of every frame to the true frames."""
        heads = (*x.shape[:2], self.config.n_heads, -1)
        query, key, value = (part(x).reshape(heads) for part in (self.query, self.key, self.value))
        # A softmax over no frames would give NaN, so an utterance without frames uses one frame of padding.
        seen = jnp.maximum(n_frames, 1).astype(jnp.int32)
        if attention_of(self.config) == "cudnn":
            context = jax.nn.dot_product_attention(
                query, key, value, key_value_seq_lengths=seen, implementation="cudnn"
            )
        else:
            context = masked_attention(query, key, value, (jnp.arange(x.shape[1]) < seen[:, None])[:, None])
        return self.attention_output(context.reshape(x.shape))


def attention_of(config: EncoderConfig) -> Literal["xla", "cudnn"]:
    """The implementation that computes the attention."""
    if config.attention == "auto":
        return "cudnn" if jax.default_backend() == "gpu" and config.compute_dtype == "bfloat16" else "xla"
    return config.attention


class Encoder(nnx.Module):
    """The encoder, from filter-bank frames to hidden states."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.input: nnx.Linear | ConvPrenet
        if config.prenet == "none":
            self.input = linear(config.n_mels, config.d_model, config, rngs)
        else:
            self.input = ConvPrenet(config, rngs=rngs)
        self.input_norm = layer_norm(config.d_model, config, rngs)
        self.layers = nnx.List([Layer(config, rngs=rngs) for _ in range(config.n_layers)])
        if config.norm == "pre":
            # With pre-LayerNorm, the residual sum is not normalised, so each hidden state gets a LayerNorm of its own.
            self.hidden_norms = nnx.List([layer_norm(config.d_model, config, rngs) for _ in range(config.n_layers + 1)])

    def __call__(
        self,
        features: Float[Array, "batch frames mels"],
        n_frames: Int[Array, "batch"],
        keys: Key[Array, "batch"] | None = None,
    ) -> tuple[list[Float[Array, "batch out_frames dim"]], Int[Array, "batch"]]:
        """Compute all hidden states.

        Args:
          features: normalised log-mel frames; values past the true end have no influence.
          n_frames: number of true frames of each utterance.
          keys: one random key per utterance, for dropout; None switches dropout off.

        Returns:
          `n_layers + 1` hidden states, float32, zero in frames past the true end: first the embedded input, last the output of
          the encoder; and the number of true output frames of each utterance.
        """
        config = self.config
        features = features.astype(config.dtype)
        x = self.input(features, n_frames) if isinstance(self.input, ConvPrenet) else self.input(features)
        n_frames = config.n_frames(n_frames)
        # Positions are added in float32 even if matrix products use bfloat16, which would make neighbouring positions equal.
        x = x.astype(jnp.float32) + positions(x.shape[1], config, keys)
        x = dropout(self.input_norm(x).astype(config.dtype), config.dropout, keys, _INPUT_DROPOUT)

        states = [x]
        for number, layer in enumerate(self.layers):
            layer_keys = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            run = nnx.remat(Layer.__call__) if config.remat else Layer.__call__
            x = run(layer, x, n_frames, layer_keys)
            states.append(x)
        if config.norm == "pre":
            states = [normed(norm, state) for norm, state in zip(self.hidden_norms, states, strict=True)]
        is_frame = (jnp.arange(x.shape[1]) < n_frames[:, None])[..., None]
        return [jnp.where(is_frame, state.astype(jnp.float32), 0.0) for state in states], n_frames
