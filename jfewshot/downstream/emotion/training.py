"""Loss, step and logits, compiled once for all folds and seeds of one kind of features."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from jfewshot.downstream.emotion.batches import Batch
from jfewshot.downstream.emotion.model import Classifier
from jfewshot.downstream.fitting import with_encoder
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.features import normalise
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import Params, drawer, model_builder
from jfewshot.training.schedules import learning_rate, optimiser
from jfewshot.training.step import Losses, State, first_state, make_step


class Scaling(NamedTuple):
    """Frames are standardised by these: the training utterances' own (or, where the encoder learns, its own)."""

    mean: Float[Array, "dim"]
    std: Float[Array, "dim"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is compiled.

    Attributes:
      dim: numbers per frame.
      n_classes: emotions.
      head: the paper's transformer, or the light head's width.
      optimiser: and its schedule.
      steps: of the run, for a cosine schedule; 0 otherwise, so that runs of other lengths share what is compiled.
      encoder, layer: an encoder that learns too.
    """

    dim: int
    n_classes: int
    head: EncoderConfig | int
    optimiser: OptimiserConfig
    steps: int = 0
    encoder: EncoderConfig | None = None
    layer: int = -1

    def model(self, rngs: nnx.Rngs) -> Classifier:
        """The module."""
        return Classifier(self.dim, self.n_classes, self.head, self.encoder, self.layer, rngs=rngs)

    @property
    def rate(self) -> optax.Schedule:
        """Learning rate by step. Noam's width is the head's transformer's (256 in the paper)."""
        width = self.head if isinstance(self.head, int) else self.head.d_model
        return learning_rate(self.optimiser, width, self.steps)


class Compiled(NamedTuple):
    """Functions of one plan."""

    draw: Callable[[int], Params]
    step: Callable
    logits: Callable[[Params, Batch, Scaling], Float[Array, "rows classes"]]


def loss_function(plan: Plan) -> Losses:
    """Cross-entropy of a batch, with dropout by the step's key."""
    logits = _logits(plan)

    def losses(params: Params, batch: Batch, key: Key[Array, ""], scaling: Scaling):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch.rows)
        given = logits(params, batch, scaling, keys)
        loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(given, batch.labels))
        accuracy = jnp.mean((jnp.argmax(given, axis=-1) == batch.labels).astype(jnp.float32))
        return loss, {"loss": loss, "accuracy": accuracy}

    return losses


@functools.cache
def compiled(plan: Plan) -> Compiled:
    """First parameters, step and logits; compiled once for each padded size, and kept for the next fold and seed."""
    logits = _logits(plan)
    step = make_step(loss_function(plan), optimiser(plan.optimiser, plan.rate), plan.rate)
    return Compiled(drawer(plan.model), step, jax.jit(lambda params, batch, scaling: logits(params, batch, scaling)))


def _logits(plan: Plan):
    build = model_builder(plan.model)

    def logits(params: Params, batch: Batch, scaling: Scaling, keys: Key[Array, "rows"] | None = None):
        n_frames = jnp.asarray(batch.n_frames)
        frames = normalise(jnp.asarray(batch.frames), n_frames, scaling.mean, scaling.std)
        return build(params)(frames, n_frames, keys)

    return logits


def initial_state(plan: Plan, seed: int, encoder: dict[str, Array] | None = None) -> State:
    """Make the training state of step 0.

    Args:
      plan: model and optimiser.
      seed: seed of the random weights.
      encoder: weights of the encoder, by name without `encoder.`; None to draw these too.

    Returns:
      parameters and the state of the optimiser.
    """
    params = with_encoder(compiled(plan).draw(seed), encoder)
    return first_state(params, optimiser(plan.optimiser, plan.rate))
