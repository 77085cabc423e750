"""Learning rates and the optimiser."""

import jax.numpy as jnp
import optax

from jfewshot.errors import UserError
from jfewshot.training.config import OptimiserConfig
from jfewshot.training.model import is_decayed


def learning_rate(chosen: OptimiserConfig, d_model: int, steps: int) -> optax.Schedule:
    """Rate at the update of step n, counted from 0.

    noam (Vaswani et al., 2017, equation 3, times k): k * d_model^-0.5 * min((n + 1)^-0.5, (n + 1) * warmup^-1.5).
    (The Speech SimCLR paper prints d_model^0.5, a misprint: rates of the order of one.)

    Args:
      chosen: gives the schedule, the rate and the warm-up.
      d_model: width of the transformer; only noam needs it.
      steps: number of steps of the whole run; only cosine needs it.

    Returns:
      from a step's number to its learning rate.

    Raises:
      UserError: if a cosine schedule would end within its warm-up.
    """
    warmup = max(chosen.warmup_steps, 1)
    if chosen.schedule == "noam":
        scale = chosen.rate * d_model**-0.5
        return lambda n: scale * jnp.minimum(_update(n) ** -0.5, _update(n) * warmup**-1.5)
    if chosen.schedule == "cosine":
        if steps <= warmup:
            raise UserError(
                f"a cosine schedule of {steps} steps ends within its warm-up of {warmup}: lower the warm-up"
            )
        return optax.warmup_cosine_decay_schedule(chosen.rate / warmup, chosen.rate, warmup, steps)
    return lambda n: chosen.rate * jnp.minimum(_update(n) / warmup, 1.0)


def _update(n) -> jnp.ndarray:
    """Which update step n is, counted from 1, as a float."""
    return jnp.asarray(n, jnp.float32) + 1.0


def optimiser(chosen: OptimiserConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW at this rate (without weight decay: Adam)."""
    clip = optax.clip_by_global_norm(chosen.clip_norm) if chosen.clip_norm > 0 else optax.identity()
    adam = optax.adamw(rate, b1=0.9, b2=chosen.b2, eps=1e-8, weight_decay=chosen.weight_decay, mask=is_decayed)
    return optax.chain(clip, adam)
