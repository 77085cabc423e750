"""Learning rates and the optimiser."""

import logging

import jax.numpy as jnp
import optax

from jfewshot.errors import UserError
from jfewshot.training.config import WARMUP_STEPS, OptimiserConfig
from jfewshot.training.model import is_decayed

log = logging.getLogger(__name__)


def warmup_steps(chosen: OptimiserConfig, steps: int) -> int:
    """Number of steps during which the learning rate increases.

    Args:
      chosen: gives the warm-up; None for 8,000 steps or a fifth of the run, whichever is fewer.
      steps: number of steps of the whole run; 0 if it is not known.

    Returns:
      the number, at least 1.
    """
    if chosen.warmup_steps is not None:
        return max(chosen.warmup_steps, 1)
    return max(min(WARMUP_STEPS, steps // 5), 1) if steps else WARMUP_STEPS


def warn_of_long_warmup(chosen: OptimiserConfig, steps: int) -> None:
    """Log a warning if a run ends before its warm-up, so that its learning rate stays low throughout.

    Args:
      chosen: settings of the optimiser.
      steps: number of steps of the whole run.
    """
    warmup = warmup_steps(chosen, steps)
    if warmup > steps:
        log.warning(
            "the run of %s steps ends within its warm-up of %s steps: the learning rate reaches only %.0f%% of its highest "
            "value. Lower --optimiser.warmup-steps, or leave the option out",
            f"{steps:,}",
            f"{warmup:,}",
            100 * steps / warmup,
        )


def learning_rate(chosen: OptimiserConfig, d_model: int, steps: int) -> optax.Schedule:
    """Rate at the update of step n, counted from 0.

    noam (Vaswani et al., 2017, equation 3, times k): k * d_model^-0.5 * min((n + 1)^-0.5, (n + 1) * warmup^-1.5).
    (The Speech SimCLR paper prints d_model^0.5, which must be a misprint: rates would be of the order of one.) The highest rate,
    k * (d_model * warmup)^-0.5, would be larger for a short run with a shorter warm-up. Such a run keeps the highest rate of the
    usual warm-up instead, because a transformer that trains well at 2e-4 may diverge at 2e-3.

    Args:
      chosen: gives the schedule, the rate and the warm-up.
      d_model: width of the transformer; only noam needs it.
      steps: number of steps of the whole run, 0 if it is not known; only cosine and a warm-up that is not given need it.

    Returns:
      from a step's number to its learning rate.

    Raises:
      UserError: if a cosine schedule would end within its warm-up.
    """
    warmup = warmup_steps(chosen, steps)
    if chosen.schedule == "noam":
        shortened = 1.0 if chosen.warmup_steps is not None else (warmup / WARMUP_STEPS) ** 0.5
        scale = chosen.rate * d_model**-0.5 * shortened
        return lambda n: scale * jnp.minimum(_update(n) ** -0.5, _update(n) * warmup**-1.5)
    if chosen.schedule == "cosine":
        if steps <= warmup:
            raise UserError(
                f"a cosine schedule of {steps} steps ends within its warm-up of {warmup}: lower the warm-up"
            )
        return optax.warmup_cosine_decay_schedule(chosen.rate / warmup, chosen.rate, warmup, steps)
    return lambda n: chosen.rate * jnp.minimum(_update(n) / warmup, 1.0)


def _update(n) -> jnp.ndarray:
    """The number of the update of step n, counted from 1, as a float."""
    return jnp.asarray(n, jnp.float32) + 1.0


def optimiser(chosen: OptimiserConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW at this rate; without weight decay this is Adam."""
    clip = optax.clip_by_global_norm(chosen.clip_norm) if chosen.clip_norm > 0 else optax.identity()
    adam = optax.adamw(rate, b1=0.9, b2=chosen.b2, eps=1e-8, weight_decay=chosen.weight_decay, mask=is_decayed)
    return optax.chain(clip, adam)
