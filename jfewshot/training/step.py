"""One update, jitted whole: loss, gradient, optimiser; a step that is not finite changes nothing."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from jfewshot.training.model import Params

Losses = Callable[[Params, Any, Key[Array, ""], Any], tuple[Array, dict[str, Array]]]
"""(params, batch, key of the step, what does not change) -> (loss, metrics, `loss` among them)."""


class State(NamedTuple):
    """Everything that a step changes."""

    step: Int[Array, ""]
    params: Params
    optimiser: optax.OptState


def first_state(params: Params, optimise: optax.GradientTransformation) -> State:
    """Step 0."""
    return State(jnp.zeros((), jnp.int32), params, optimise.init(params))


def make_step(
    losses: Losses,
    optimise: optax.GradientTransformation,
    rate: optax.Schedule,
    count: Callable[[Any], dict[str, Array]] = lambda batch: {},
):
    """The jitted step: (state, batch, key of the run, fixed) -> (state, metrics). The old state's memory is reused.

    A step whose loss or gradient is not finite changes nothing but the step's number.

    Args:
      losses: loss and metrics of a batch.
      optimise: the optimiser.
      rate: its learning rate, for the metrics.
      count: metrics of the batch alone (`audio_s`: seconds of audio in it).

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
