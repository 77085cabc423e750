"""One jitted update: loss, gradient and optimiser. A step with a loss that is not finite changes no parameter."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from jfewshot.training.model import Params

Losses = Callable[[Params, Any, Key[Array, ""], Any], tuple[Array, dict[str, Array]]]
"""(params, batch, key of the step, values that do not change) -> (loss, metrics, which include `loss`)."""


class State(NamedTuple):
    """Everything that a training step changes."""

    step: Int[Array, ""]
    params: Params
    optimiser: optax.OptState


def first_state(params: Params, optimise: optax.GradientTransformation) -> State:
    """Make the state of step 0."""
    return State(jnp.zeros((), jnp.int32), params, optimise.init(params))


def make_step(
    losses: Losses,
    optimise: optax.GradientTransformation,
    rate: optax.Schedule,
    count: Callable[[Any], dict[str, Array]] = lambda batch: {},
):
    """Make the jitted step: (state, batch, key of the run, fixed) -> (state, metrics). It reuses the memory of the old state.

    A step whose loss or gradient is not finite changes only the number of the step.

    Args:
      losses: from a batch to its loss and metrics.
      optimise: the optimiser.
      rate: the learning rate of the optimiser, for the metrics.
      count: from a batch to metrics that do not depend on the parameters, such as `audio_s`, its seconds of audio.

    Returns:
      the compiled step.
    """

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: State, batch, key: Key[Array, ""], fixed) -> tuple[State, dict[str, Array]]:
        step_key = jax.random.fold_in(key, state.step)
        gradient, metrics = jax.grad(losses, has_aux=True)(state.params, batch, step_key, fixed)
        norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"])
        updates, moments = optimise.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        params, moments = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (params, moments), (state.params, state.optimiser)
        )
        metrics = metrics | {"gradient_norm": norm, "rate": rate(state.step)} | count(batch)
        return State(state.step + 1, params, moments), metrics

    return step
