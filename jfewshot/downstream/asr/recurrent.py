"""Bidirectional recurrent layers over padded frames, as PyTorch's GRU and LSTM compute them."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.downstream.asr.settings import RecurrentConfig
from jfewshot.simclr.encoder.transformer import dropout


class Direction(nnx.Module):
    """One recurrent layer in one direction. One matrix product computes the input's part of all time steps."""

    def __init__(self, n_in: int, config: RecurrentConfig, *, rngs: nnx.Rngs):
        self.is_lstm = config.cell == "lstm"
        gates = 4 if self.is_lstm else 3
        init = _symmetric(config.size**-0.5)
        self.input = nnx.Linear(n_in, gates * config.size, kernel_init=init, bias_init=init, rngs=rngs)
        self.hidden = nnx.Linear(config.size, gates * config.size, kernel_init=init, bias_init=init, rngs=rngs)
        self.size = config.size

    def __call__(self, x: Float[Array, "batch frames n_in"]) -> Float[Array, "batch frames size"]:
        """Run from the first frame to the last."""
        empty = jnp.zeros((x.shape[0], self.size))

        def gru(hidden, given):
            (r, z, n), (hr, hz, hn) = jnp.split(given, 3, -1), jnp.split(self.hidden(hidden), 3, -1)
            r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
            hidden = (1 - z) * jnp.tanh(n + r * hn) + z * hidden
            return hidden, hidden

        def lstm(carry, given):
            hidden, cell = carry
            i, f, g, o = jnp.split(given + self.hidden(hidden), 4, -1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
            hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
            return (hidden, cell), hidden

        given = jnp.swapaxes(self.input(x), 0, 1)
        step, first = (lstm, (empty, empty)) if self.is_lstm else (gru, empty)
        _, states = jax.lax.scan(step, first, given)
        return jnp.swapaxes(states, 0, 1)


class BidirectionalLayers(nnx.Module):
    """Several recurrent layers, each with a forward and a backward direction over the true frames of an utterance."""

    def __init__(self, n_in: int, config: RecurrentConfig, *, rngs: nnx.Rngs):
        self.rate = config.dropout
        sizes = [n_in] + [2 * config.size] * (config.n_layers - 1)
        self.forward = nnx.List([Direction(size, config, rngs=rngs) for size in sizes])
        self.backward = nnx.List([Direction(size, config, rngs=rngs) for size in sizes])

    def __call__(
        self, x: Float[Array, "batch frames n_in"], n_frames: Int[Array, "batch"], keys: Key[Array, "batch"] | None
    ) -> Float[Array, "batch frames twice_size"]:
        """Outputs of the last layer, zero past the true ends; values of `x` there have no influence. `keys` are for dropout."""
        is_frame = (jnp.arange(x.shape[1]) < n_frames[:, None])[..., None]
        for number, (forward, backward) in enumerate(zip(self.forward, self.backward, strict=True)):
            x = dropout(x, self.rate, keys, number) if number else x
            behind = reversed_in_time(backward(reversed_in_time(x, n_frames)), n_frames)
            x = jnp.where(is_frame, jnp.concatenate([forward(x), behind], axis=-1), 0.0)
        return dropout(x, self.rate, keys, len(self.forward))


def reversed_in_time(
    x: Float[Array, "batch frames dim"], n_frames: Int[Array, "batch"]
) -> Float[Array, "batch frames dim"]:
    """Reverse the true frames of each utterance; padding stays after these."""
    place = jnp.arange(x.shape[1])
    source = jnp.where(place < n_frames[:, None], n_frames[:, None] - 1 - place, place)
    return jnp.take_along_axis(x, source[..., None], axis=1)


def _symmetric(limit: float):
    def draw(key, shape, dtype=jnp.float32, out_sharding=None):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return draw
