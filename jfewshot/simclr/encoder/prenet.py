"""Two convolutions with kernel 3 and stride 2, which make one frame of four."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jfewshot.simclr.settings import EncoderConfig


class ConvPrenet(nnx.Module):
    """Two convolutions, each followed by ReLU, and a linear layer to the width of the encoder. For conv2d the linear layer
    combines channels and mel bins.

    Padding has no influence: frames past the true end are set to zero before each convolution, and there is always one zero on
    either side. (The amount of padding of XLA's "SAME" would depend on the padded length.)
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.two_dimensional = config.prenet == "conv2d"
        axes = 2 if self.two_dimensional else 1
        sizes = (1 if self.two_dimensional else config.n_mels, config.prenet_channels, config.prenet_channels)
        self.convolutions = nnx.List(
            [
                nnx.Conv(n_in, n_out, (3,) * axes, (2,) * axes, padding=((1, 1),) * axes, dtype=config.dtype, rngs=rngs)
                for n_in, n_out in itertools.pairwise(sizes)
            ]
        )
        n_out = config.prenet_channels * (config.n_frames(config.n_mels) if self.two_dimensional else 1)
        init = nnx.initializers.normal(config.init_std)
        self.output = nnx.Linear(n_out, config.d_model, kernel_init=init, dtype=config.dtype, rngs=rngs)

    def __call__(
        self, features: Float[Array, "batch frames mels"], n_frames: Int[Array, "batch"]
    ) -> Float[Array, "batch subsampled dim"]:
        """Make (frames + 3) // 4 frames of `frames` input frames."""
        x = features[..., None] if self.two_dimensional else features
        for convolution in self.convolutions:
            is_frame = jnp.arange(x.shape[1]) < n_frames[:, None]
            x = jnp.where(is_frame.reshape(is_frame.shape + (1,) * (x.ndim - 2)), x, 0.0)
            x = jax.nn.relu(convolution(x))
            n_frames = (n_frames + 1) // 2
        return self.output(x.reshape(*x.shape[:2], -1))
