"""TERA's reconstruction loss (Liu, Li and Lee, TASLP 2021): L1 between the prediction and the features before
alteration."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def reconstruction_sums(
    predicted: Float[Array, "*batch frames mels"],
    target: Float[Array, "*batch frames mels"],
    altered: Bool[Array, "*batch frames mels"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sum the absolute errors over the altered elements, and count these elements.

    The mean of a large batch is the quotient of two such sums, added over chunks and devices.

    Args:
      predicted: predicted features, (..., frames, mels).
      target: true features, in the same shape.
      altered: True for the elements that were altered and count.

    Returns:
      the sum of the absolute errors and the number of altered elements; both float32 scalars.
    """
    error = jnp.abs(predicted.astype(jnp.float32) - target)
    return jnp.sum(jnp.where(altered, error, 0.0)), jnp.sum(altered.astype(jnp.float32))


def reconstruction_l1(
    predicted: Float[Array, "*batch frames mels"],
    target: Float[Array, "*batch frames mels"],
    altered: Bool[Array, "*batch frames mels"],
) -> Float[Array, ""]:
    """Mean absolute error over the elements that were altered; 0 if no element was altered.

    Args:
      predicted: predicted features, (..., frames, mels).
      target: true features, in the same shape.
      altered: True for the elements that were altered and count.

    Returns:
      the mean absolute error, a float32 scalar.
    """
    total, count = reconstruction_sums(predicted, target, altered)
    return total / jnp.maximum(count, 1.0)
