"""The attention decoder: a transformer that predicts unit after unit, with attention to the encoder's frames."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.downstream.asr.settings import DecoderConfig
from jfewshot.simclr.encoder.transformer import dropout, normed, sinusoids

# Distinguishes the random key of the input's dropout from those of the layers, as in the encoder.
_INPUT_DROPOUT = 1_000_000


class Cache(NamedTuple):
    """Keys and values of the units that hypotheses already have, layer by layer."""

    keys: Float[Array, "batch beam layers longest heads size"]
    values: Float[Array, "batch beam layers longest heads size"]


class Attention(nnx.Module):
    """Multi-head attention whose keys and values may come from another sequence than the queries."""

    def __init__(self, config: DecoderConfig, d_source: int, *, rngs: nnx.Rngs):
        self.n_heads = config.n_heads
        make = functools.partial(nnx.Linear, dtype=jnp.dtype(config.compute_dtype), rngs=rngs)
        self.query, self.output = make(config.d_model, config.d_model), make(config.d_model, config.d_model)
        self.key, self.value = make(d_source, config.d_model), make(d_source, config.d_model)

    def look(self, source: Float[Array, "batch places dim"]) -> tuple[Array, Array]:
        """Keys and values, (batch, places, heads, size)."""
        return self._heads(self.key(source)), self._heads(self.value(source))

    def __call__(self, x: Float[Array, "batch queries dim"], keys, values, n_seen, causal: bool = False):
        """Attention to the first `n_seen` keys of each row; with `causal`, to no key after the query's own place."""
        # JAX's attention combines float32 logits with a bfloat16 query, which strict promotion would refuse.
        with jax.numpy_dtype_promotion("standard"):
            seen = None if n_seen is None else jnp.maximum(n_seen, 1).astype(jnp.int32)
            context = jax.nn.dot_product_attention(
                self._heads(self.query(x)), keys, values, key_value_seq_lengths=seen, is_causal=causal
            )
        return self.output(context.reshape(x.shape))

    def _heads(self, x: Float[Array, "batch places dim"]) -> Float[Array, "batch places heads size"]:
        return x.reshape(*x.shape[:2], self.n_heads, -1)


class DecoderLayer(nnx.Module):
    """Self-attention, attention to the frames, and a feed-forward part, each with LayerNorm before it and a residual sum."""

    def __init__(self, config: DecoderConfig, d_source: int, *, rngs: nnx.Rngs):
        make = functools.partial(nnx.Linear, dtype=jnp.dtype(config.compute_dtype), rngs=rngs)
        norm = functools.partial(nnx.LayerNorm, config.d_model, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.rate = config.dropout
        self.itself, self.frames = Attention(config, config.d_model, rngs=rngs), Attention(config, d_source, rngs=rngs)
        self.intermediate, self.output = make(config.d_model, config.d_ff), make(config.d_ff, config.d_model)
        self.self_norm, self.frames_norm, self.output_norm = norm(), norm(), norm()

    def look_at_frames(self, x, keys, values, n_frames, drop):
        """Apply the second and third part of the layer: attention to the frames, and the feed-forward part.

        Args:
          x: output of the self-attention, (rows, places, d_model).
          keys: keys of the frames, (rows, frames, heads, size).
          values: values of the frames, (rows, frames, heads, size).
          n_frames: number of true frames of each row.
          drop: one random key per row, for dropout; None switches dropout off.

        Returns:
          output of the layer, (rows, places, d_model).
        """
        x = x + dropout(self.frames(normed(self.frames_norm, x), keys, values, n_frames), self.rate, drop, 1)
        hidden = jax.nn.gelu(self.intermediate(normed(self.output_norm, x)), approximate=False)
        return x + dropout(self.output(hidden), self.rate, drop, 2)


class Decoder(nnx.Module):
    """From the units so far and the frames of an utterance to logits of the next unit. Unit 0 marks begin and end.

    Args:
      n_units: number of units, unit 0 included.
      d_source: width of the frames.
      config: sizes of the decoder.
    """

    def __init__(self, n_units: int, d_source: int, config: DecoderConfig, *, rngs: nnx.Rngs):
        self.config = config
        scale = nnx.initializers.normal(config.d_model**-0.5)
        self.embedding = nnx.Embed(n_units, config.d_model, embedding_init=scale, rngs=rngs)
        self.input_norm = nnx.LayerNorm(config.d_model, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.layers = nnx.List([DecoderLayer(config, d_source, rngs=rngs) for _ in range(config.n_layers)])
        self.output_norm = nnx.LayerNorm(config.d_model, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.output = nnx.Linear(config.d_model, n_units, rngs=rngs)

    def __call__(
        self,
        units: Int[Array, "batch places"],
        frames: Float[Array, "batch frames dim"],
        n_frames: Int[Array, "batch"],
        keys: Key[Array, "batch"] | None = None,
    ) -> Float[Array, "batch next n_units"]:
        """Compute the logits of each next unit, the end included, for known transcripts.

        Args:
          units: units of each utterance's transcript; values past its end have no influence.
          frames: frames from the encoder; values past the true frames have no influence.
          n_frames: number of true frames of each utterance.
          keys: one random key per utterance, for dropout; None switches dropout off.

        Returns:
          float32 logits; at place p, the logits of the unit that follows the first p units.
        """
        x = self._embed(jnp.pad(units, ((0, 0), (1, 0))), sinusoids(units.shape[1] + 1, self.config.d_model))
        x = dropout(x, self.config.dropout, keys, _INPUT_DROPOUT)
        frames = frames.astype(x.dtype)
        for number, layer in enumerate(self.layers):
            drop = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            inner = normed(layer.self_norm, x)
            attended = layer.itself(inner, *layer.itself.look(inner), None, causal=True)
            x = x + dropout(attended, layer.rate, drop, 0)
            x = layer.look_at_frames(x, *layer.frames.look(frames), n_frames, drop)
        return self.output(self.output_norm(x.astype(jnp.float32)))

    def look(self, frames: Float[Array, "batch frames dim"]) -> list[tuple[Array, Array]]:
        """Keys and values of the frames for each layer, which all hypotheses and steps share."""
        frames = frames.astype(jnp.dtype(self.config.compute_dtype))
        return [layer.frames.look(frames) for layer in self.layers]

    def empty_cache(self, batch: int, beam: int, longest: int) -> Cache:
        """Make the cache with which a beam search begins.

        Args:
          batch: number of utterances.
          beam: hypotheses per utterance.
          longest: largest number of units of a hypothesis.

        Returns:
          keys and values full of zeros.
        """
        config = self.config
        shape = batch, beam, config.n_layers, longest + 1, config.n_heads, config.d_model // config.n_heads
        return Cache(*(jnp.zeros(shape, jnp.dtype(config.compute_dtype)) for _ in range(2)))

    def step(
        self, last: Int[Array, "batch beam"], place: Int[Array, ""], cache: Cache, seen: list, n_frames
    ) -> tuple[Float[Array, "batch beam n_units"], Cache]:
        """Compute log-probabilities of the next unit for several hypotheses of each utterance.

        Args:
          last: last unit of each hypothesis; 0 at the beginning.
          place: number of units that the hypotheses have.
          cache: keys and values of the units before the last one.
          seen: keys and values of the frames, from `look`.
          n_frames: number of true frames of each utterance.

        Returns:
          log-probabilities of the next unit, and the cache with the last unit added.
        """
        batch, beam = last.shape
        table = jnp.asarray(sinusoids(cache.keys.shape[3], self.config.d_model))
        position = jax.lax.dynamic_slice_in_dim(table, place, 1)
        x = self._embed(last, position)
        new_keys, new_values = cache
        for number, layer in enumerate(self.layers):
            one = normed(layer.self_norm, x).reshape(batch * beam, 1, -1)
            key, value = (part.reshape(batch, beam, 1, 1, *part.shape[2:]) for part in layer.itself.look(one))
            where = (0, 0, number, place, 0, 0)
            new_keys = jax.lax.dynamic_update_slice(new_keys, key, where)
            new_values = jax.lax.dynamic_update_slice(new_values, value, where)
            before = batch * beam, *new_keys.shape[3:]
            mine, theirs = new_keys[:, :, number].reshape(before), new_values[:, :, number].reshape(before)
            attended = layer.itself(one, mine, theirs, jnp.full(batch * beam, place + 1))
            x = x + attended.reshape(batch, beam, -1)
            # The hypotheses of an utterance take the axis of queries, because they share the utterance's frames.
            keys, values = seen[number]
            x = layer.look_at_frames(x, keys, values, n_frames, None)
        logits = self.output(self.output_norm(x.astype(jnp.float32)))
        return jax.nn.log_softmax(logits), Cache(new_keys, new_values)

    def _embed(self, units: Int[Array, "batch places"], positions) -> Float[Array, "batch places dim"]:
        x = self.embedding(units) * self.config.d_model**0.5 + jnp.asarray(positions, jnp.float32)
        return self.input_norm(x).astype(jnp.dtype(self.config.compute_dtype))
