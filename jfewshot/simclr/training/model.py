"""The trained model, which is encoder, projection and spectrogram head, and its parameters by name."""

from collections.abc import Callable

from flax import nnx

from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.encoder import Encoder, Projection, SpectrogramHead
from jfewshot.training import model
from jfewshot.training.model import Params


class Model(nnx.Module):
    """The encoder and the heads that the configured losses need."""

    def __init__(self, config: TrainConfig, *, rngs: nnx.Rngs):
        contrast, reconstruction = config.weights
        self.encoder = Encoder(config.encoder, rngs=rngs)
        if contrast > 0:
            self.projection = Projection(
                config.encoder, config.projection_hidden, config.projection_out, config.projection_pooling, rngs=rngs
            )
        if reconstruction > 0:
            self.head = SpectrogramHead(config.encoder, rngs=rngs)


def initial_params(config: TrainConfig) -> Params:
    """Random initial parameters by dotted name, such as `encoder.layers.0.query.kernel`."""
    return model.initial_params(lambda rngs: Model(config, rngs=rngs), config.seed)


def model_builder(config: TrainConfig) -> Callable[[Params], Model]:
    """A function that makes the model with given named parameters, which may be traced."""
    return model.model_builder(lambda rngs: Model(config, rngs=rngs))
