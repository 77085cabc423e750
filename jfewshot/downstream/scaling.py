"""Standardises frames by a mean and a standard deviation before a model receives them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from jfewshot.downstream.frames import Frames
from jfewshot.simclr.features import normalise
from jfewshot.training.model import Params, model_builder


class Scaling(NamedTuple):
    """Mean and standard deviation of each number of a frame.

    They are computed over the training utterances. An encoder that is trained too keeps the values of its own pretraining.
    """

    mean: Float[Array, "dim"]
    std: Float[Array, "dim"]


def scaling_of(mean: Any, std: Any) -> Scaling:
    """A mean and a standard deviation, both (dim,), as float32 arrays on the device."""
    return Scaling(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))


def scaling_of_frames(frames: Frames, utterances: Sequence[int] | np.ndarray) -> Scaling:
    """Compute the mean and the standard deviation over the true frames of some utterances.

    Args:
      frames: frames of all utterances.
      utterances: numbers of the utterances to use; for training, the training utterances alone.

    Returns:
      the two, each (dim,).
    """
    moments = frames.moments(utterances)
    return scaling_of(moments.mean, moments.std)


def on_scaled_frames(make: Callable[[nnx.Rngs], nnx.Module]) -> Callable[..., Any]:
    """Make a function that standardises the frames of a batch and applies a model to these.

    Args:
      make: makes the model, which is called with (frames, n_frames, keys).

    Returns:
      a function (params, batch, scaling, keys=None) -> the model's outputs. A batch has `frames` and `n_frames`. The keys,
      one for each row, are for dropout; without keys there is no dropout.
    """
    build: Callable[[Params], Any] = model_builder(make)

    def outputs(params: Params, batch: Any, scaling: Scaling, keys: Key[Array, "rows"] | None = None) -> Any:
        n_frames = jnp.asarray(batch.n_frames)
        frames = normalise(jnp.asarray(batch.frames), n_frames, scaling.mean, scaling.std)
        return build(params)(frames, n_frames, keys)

    return outputs
