"""Loss, training step and logits, compiled once for all folds and seeds of one kind of features."""

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
from jfewshot.downstream.fitting import initial_states
from jfewshot.downstream.scaling import Scaling, on_scaled_frames
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import Params
from jfewshot.training.schedules import learning_rate, optimiser
from jfewshot.training.step import Losses, State, make_step


@dataclasses.dataclass(frozen=True)
class Plan:
    """A model and its optimiser; runs with equal plans share compiled functions.

    Attributes:
      dim: numbers per frame.
      n_classes: number of emotions.
      head: settings of the paper's transformer, or width of the light head.
      optimiser: settings of the optimiser and its schedule.
      steps: number of steps of the run for a cosine schedule; 0 otherwise, so that runs of other lengths share the functions.
      encoder, layer: an encoder that is trained too, and number of its hidden state that the head uses.
    """

    dim: int
    n_classes: int
    head: EncoderConfig | int
    optimiser: OptimiserConfig
    steps: int = 0
    encoder: EncoderConfig | None = None
    layer: int = -1

    def model(self, rngs: nnx.Rngs) -> Classifier:
        """Make the model with random weights."""
        return Classifier(self.dim, self.n_classes, self.head, self.encoder, self.layer, rngs=rngs)

    @property
    def rate(self) -> optax.Schedule:
        """Learning rate by step. The width in the schedule noam is that of the head's transformer (256 in the paper)."""
        width = self.head if isinstance(self.head, int) else self.head.d_model
        return learning_rate(self.optimiser, width, self.steps)


class Compiled(NamedTuple):
    """Compiled functions of one plan."""

    initial: Callable[..., State]
    """From a seed, and weights of the encoder if there are any, to the state of step 0."""
    step: Callable
    logits: Callable[[Params, Batch, Scaling], Float[Array, "rows classes"]]


def loss_function(plan: Plan) -> Losses:
    """Mean cross-entropy of a batch; the key of the step draws dropout."""
    logits = on_scaled_frames(plan.model)

    def losses(params: Params, batch: Batch, key: Key[Array, ""], scaling: Scaling):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch.rows)
        given = logits(params, batch, scaling, keys)
        loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(given, batch.labels))
        accuracy = jnp.mean((jnp.argmax(given, axis=-1) == batch.labels).astype(jnp.float32))
        return loss, {"loss": loss, "accuracy": accuracy}

    return losses


@functools.cache
def compiled(plan: Plan) -> Compiled:
    """Compile initial state, step and logits, once for each padded size, and keep these for the next fold and seed."""
    logits = on_scaled_frames(plan.model)
    optimise = optimiser(plan.optimiser, plan.rate)
    step = make_step(loss_function(plan), optimise, plan.rate)
    scored = jax.jit(lambda params, batch, scaling: logits(params, batch, scaling))
    return Compiled(initial_states(plan.model, optimise), step, scored)
