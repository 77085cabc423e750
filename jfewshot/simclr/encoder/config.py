"""Sizes and options of the encoder."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp

from jfewshot.errors import UserError


@dataclass(frozen=True)
class EncoderConfig:
    """The transformer. The defaults are the paper's (21 M parameters), which are TERA's."""

    n_mels: int = 80
    """Channels of the input."""
    n_layers: int = 3
    """Transformer layers."""
    d_model: int = 768
    """Width."""
    d_ff: int = 3072
    """Width of the feed-forward part."""
    n_heads: int = 12
    """Attention heads; must divide d_model."""
    prenet: Literal["none", "conv1d", "conv2d"] = "none"
    """none: one frame in, one out. conv1d, conv2d: two convolutions of stride 2, so four frames become one; conv1d
    runs over time with the mel bins as channels, conv2d over time and mel bins."""
    prenet_channels: int = 256
    """Channels of those convolutions."""
    norm: Literal["post", "pre"] = "post"
    """LayerNorm after each residual sum (TERA, the original transformer) or before each sub-layer (steadier when
    deep)."""
    layer_norm_eps: float = 1e-12
    """TERA's and BERT's."""
    dropout: float = 0.1
    """On the input and after each sub-layer, in training."""
    init_std: float = 0.02
    """Weights are drawn from a normal distribution with this deviation; biases are zero."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the matrix products; parameters, LayerNorm and loss are float32 either way."""
    remat: bool = False
    """Recompute each layer in the backward pass instead of keeping its activations: less memory, a third more work."""
    attention: Literal["auto", "xla", "cudnn"] = "auto"
    """auto: cuDNN's fused attention on a GPU in bfloat16, XLA's otherwise."""

    def __post_init__(self) -> None:
        if self.d_model % self.n_heads or self.d_model % 2:
            raise UserError(f"d_model {self.d_model} must be even and a multiple of n_heads {self.n_heads}")
        if self.n_layers < 1:
            raise UserError(f"n_layers is {self.n_layers}; the encoder needs at least one")

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return 1 if self.prenet == "none" else 4

    @property
    def dtype(self):
        """The compute dtype as JAX has it."""
        return jnp.dtype(self.compute_dtype)

    def n_frames(self, n_input_frames):
        """Output frames for a number (or array) of input frames."""
        for _ in range(0 if self.prenet == "none" else 2):
            n_input_frames = (n_input_frames + 1) // 2
        return n_input_frames


PAPER = EncoderConfig()
"""Speech SimCLR, section 3: 3 layers, 768, 3072, 12 heads."""

PAPER_ASR = EncoderConfig(n_layers=6, d_model=512, d_ff=1280, n_heads=4, prenet="conv2d")
"""Its variant for speech recognition: four frames to one, 6 layers, 512, 1280, 4 heads."""
