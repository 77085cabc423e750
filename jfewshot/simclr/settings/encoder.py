"""Sizes and options of the encoder."""

from dataclasses import dataclass
from typing import Literal

from jfewshot.errors import UserError


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of the transformer. The defaults are those of the paper and of TERA (21 M parameters)."""

    n_mels: int = 80
    """Channels (mel bins) of the input features."""
    n_layers: int = 3
    """Number of transformer layers."""
    d_model: int = 768
    """Width of each transformer layer."""
    d_ff: int = 3072
    """Width of the feed-forward part of each layer."""
    n_heads: int = 12
    """Attention heads of each layer; must divide the width d-model."""
    prenet: Literal["none", "conv1d", "conv2d"] = "none"
    """Layers before the transformer. none: one output frame per input frame. conv1d and conv2d: two convolutions of stride 2,
    so that four input frames become one output frame; conv1d convolves over time with the mel bins as channels, conv2d over
    time and mel bins."""
    prenet_channels: int = 256
    """Channels of the convolutions before the transformer; used by the prenets conv1d and conv2d."""
    norm: Literal["post", "pre"] = "post"
    """Place of LayerNorm: post is after each residual sum, as in TERA and the original transformer; pre is before each
    sub-layer, which is more stable for deep encoders."""
    layer_norm_eps: float = 1e-12
    """Epsilon of LayerNorm; the default is that of TERA and BERT."""
    dropout: float = 0.1
    """Dropout rate during training, on the input and after each sub-layer."""
    position_offset: int = 0
    """Highest number of positions by which an utterance's frames are moved during training, drawn for each view. An encoder that
    is trained on short pieces then learns the positions of later frames of longer recordings too. 0 moves no frames."""
    init_std: float = 0.02
    """Standard deviation of the normal distribution from which the initial weights are drawn; biases start at zero."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of matrix products. Parameters, LayerNorm and the loss are float32 in either case."""
    remat: bool = False
    """Compute the activations of each layer again in the backward pass instead of keeping them: less memory, a third more
    work."""
    attention: Literal["auto", "xla", "cudnn"] = "auto"
    """Implementation of attention: auto uses cuDNN's fused attention on a GPU in bfloat16, and XLA's otherwise."""

    def __post_init__(self) -> None:
        if self.n_heads < 1:
            raise UserError(f"n_heads is {self.n_heads}; each layer needs at least one")
        if self.d_model < 1 or self.d_model % self.n_heads or self.d_model % 2:
            raise UserError(f"d_model {self.d_model} must be even and a multiple of n_heads {self.n_heads}")
        if self.n_layers < 1:
            raise UserError(f"n_layers is {self.n_layers}; the encoder needs at least one")
        if self.position_offset < 0:
            raise UserError(f"position_offset is {self.position_offset}; give 0 or more positions")

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return 1 if self.prenet == "none" else 4

    @property
    def dtype(self):
        """The compute dtype as a JAX dtype."""
        import jax.numpy as jnp  # here, because the command line reads these settings before it needs JAX

        return jnp.dtype(self.compute_dtype)

    def n_frames(self, n_input_frames):
        """Output frames for a number (or array) of input frames."""
        for _ in range(0 if self.prenet == "none" else 2):
            n_input_frames = (n_input_frames + 1) // 2
        return n_input_frames


PAPER = EncoderConfig()
"""Speech SimCLR, section 3: 3 layers of width 768, feed-forward width 3072, 12 heads."""

PAPER_ASR = EncoderConfig(n_layers=6, d_model=512, d_ff=1280, n_heads=4, prenet="conv2d")
"""The paper's variant for speech recognition: one frame for four, 6 layers of width 512, feed-forward width 1280, 4 heads."""
