"""TERA's reconstruction loss (Liu, Li and Lee, TASLP 2021): L1 between the prediction and the features before
alteration."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def reconstruction_sums(
    predicted: Float[Array, "*batch frames mels"],
    target: Float[Array, "*batch frames mels"],
    altered: Bool[Array, "*batch frames mels"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sum of absolute errors over the altered elements, and their number; sums add up over chunks and devices."""
    error = jnp.abs(predicted.astype(jnp.float32) - target)
    return jnp.sum(jnp.where(altered, error, 0.0)), jnp.sum(altered.astype(jnp.float32))


def reconstruction_l1(
    predicted: Float[Array, "*batch frames mels"],
    target: Float[Array, "*batch frames mels"],
    altered: Bool[Array, "*batch frames mels"],
) -> Float[Array, ""]:
    """Mean absolute error over the elements that were altered; 0 where none was."""
    total, count = reconstruction_sums(predicted, target, altered)
    return total / jnp.maximum(count, 1.0)
