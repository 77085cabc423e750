"""Loss, training step and scores, compiled once for all folds and seeds of one kind of features and one probe."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jfewshot.downstream.fitting import initial_states
from jfewshot.downstream.phones.batches import Batch
from jfewshot.downstream.phones.model import PhoneClassifier
from jfewshot.downstream.scaling import Scaling, on_scaled_frames
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import Params
from jfewshot.training.schedules import learning_rate, optimiser
from jfewshot.training.step import Losses, State, make_step

_CONSTANT = OptimiserConfig("constant")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A model and its optimiser; runs with equal plans share compiled functions.

    Attributes:
      dim: numbers per frame.
      n_classes: number of phones that are trained on.
      hidden: width of the hidden layer; 0 for none.
      optimiser: settings of the optimiser and its schedule.
      context: number of neighbours on either side of a frame that the probe receives too.
      steps: number of steps of the run for a cosine schedule; 0 otherwise.
      encoder, layer: an encoder that is trained too, and number of its hidden state that the probe uses.
    """

    dim: int
    n_classes: int
    hidden: int
    optimiser: OptimiserConfig = _CONSTANT
    context: int = 0
    steps: int = 0
    encoder: EncoderConfig | None = None
    layer: int = -1

    def model(self, rngs: nnx.Rngs) -> PhoneClassifier:
        """Make the model with random weights."""
        return PhoneClassifier(self.dim, self.n_classes, self.hidden, self.context, self.encoder, self.layer, rngs=rngs)

    @property
    def rate(self) -> optax.Schedule:
        """Learning rate by step. The width in the schedule noam is that of the encoder, or else that of the frames."""
        return learning_rate(self.optimiser, self.encoder.d_model if self.encoder else self.dim, self.steps)


class Scored(NamedTuple):
    """The predictions and the loss of a batch.

    Attributes:
      predicted: class of every frame.
      loss: summed cross-entropy of the labelled frames.
      n: number of labelled frames.
    """

    predicted: Int[Array, "rows out_frames"]
    loss: Float[Array, ""]
    n: Int[Array, ""]


class Compiled(NamedTuple):
    """Compiled functions of one plan."""

    initial: Callable[..., State]
    """From a seed, and weights of the encoder if there are any, to the state of step 0."""
    step: Callable
    score: Callable[[Params, Batch, Scaling], Scored]


def loss_function(plan: Plan) -> Losses:
    """Mean cross-entropy of the labelled frames of a batch; the key of the step draws the encoder's dropout."""
    logits = on_scaled_frames(plan.model)

    def losses(params: Params, batch: Batch, key: Key[Array, ""], scaling: Scaling):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(batch.rows))
        given = logits(params, batch, scaling, keys)
        summed, n = _cross_entropy(given, batch.labels)
        right = jnp.sum(jnp.argmax(given, axis=-1) == jnp.asarray(batch.labels))
        n = jnp.maximum(n, 1)
        return summed / n, {"loss": summed / n, "accuracy": right / n}

    return losses


@functools.lru_cache(maxsize=8)
def compiled(plan: Plan) -> Compiled:
    """Compile initial state, step and scores, once for each padded size, and keep these for the next fold and seed."""
    optimise = optimiser(plan.optimiser, plan.rate)
    step = make_step(loss_function(plan), optimise, plan.rate)
    return Compiled(initial_states(plan.model, optimise), step, _compiled_score(_scoring_plan(plan)))


def _scoring_plan(plan: Plan) -> Plan:
    # Scoring does not use the optimiser, so runs with other lengths and rates share the compiled function.
    return dataclasses.replace(plan, optimiser=_CONSTANT, steps=0)


@functools.lru_cache(maxsize=8)
def _compiled_score(plan: Plan):
    logits = on_scaled_frames(plan.model)

    @jax.jit
    def score(params: Params, batch: Batch, scaling: Scaling) -> Scored:
        given = logits(params, batch, scaling)
        return Scored(jnp.argmax(given, axis=-1), *_cross_entropy(given, batch.labels))

    return score


def _cross_entropy(logits: Float[Array, "rows frames classes"], labels) -> tuple[Float[Array, ""], Int[Array, ""]]:
    labels = jnp.asarray(labels)
    there = labels >= 0
    each = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
    return jnp.sum(jnp.where(there, each, 0.0)), jnp.sum(there)
