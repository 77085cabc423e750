"""What is trained: encoder, projection, spectrogram head; and its parameters by name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.encoder import Encoder, Projection, SpectrogramHead

Params = dict[str, Array]


class Model(nnx.Module):
    """The encoder and the heads that the configured losses need."""

    def __init__(self, config: TrainConfig, *, rngs: nnx.Rngs):
        contrast, reconstruction = config.weights
        self.encoder = Encoder(config.encoder, rngs=rngs)
        if contrast > 0:
            self.projection = Projection(config.encoder, config.projection_hidden, config.projection_out, rngs=rngs)
        if reconstruction > 0:
            self.head = SpectrogramHead(config.encoder, rngs=rngs)


def initial_params(config: TrainConfig) -> Params:
    """Freshly drawn parameters by dotted name: `encoder.layers.0.query.kernel`."""

    @jax.jit
    def draw(key):
        return nnx.to_flat_state(nnx.state(Model(config, rngs=nnx.Rngs(key)), nnx.Param))

    return {_dotted(path): leaf[...] for path, leaf in draw(jax.random.key(config.seed))}


def model_builder(config: TrainConfig) -> Callable[[Params], Model]:
    """A function that puts named parameters (traced or not) into a model."""
    graph, state = nnx.split(nnx.eval_shape(lambda: Model(config, rngs=nnx.Rngs(0))))
    template = list(nnx.to_flat_state(state))

    def build(params: Params) -> Model:
        flat = [(path, leaf.replace(params[_dotted(path)])) for path, leaf in template]
        return nnx.merge(graph, nnx.from_flat_state(flat))

    return build


def is_decayed(params: Params) -> dict[str, bool]:
    """Weight decay is for kernels; biases and LayerNorms are left alone."""
    return {name: name.endswith(".kernel") and jnp.ndim(value) > 1 for name, value in params.items()}


def _dotted(path: tuple) -> str:
    return ".".join(map(str, path))
