"""Settings of the decoder, the recurrent model and the beam search. This module loads neither JAX nor NumPy, so that `--help` is
quick."""

from dataclasses import dataclass
from typing import Literal

from jfewshot.errors import UserError


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder, from the paper. Our own choice is LayerNorm before each part, which needs no long warm-up."""

    n_layers: int = 3
    """Number of transformer layers of the decoder."""
    d_model: int = 512
    """Width of the decoder; the encoder's width may differ."""
    d_ff: int = 1280
    """Width of the feed-forward part of each decoder layer."""
    n_heads: int = 4
    """Attention heads of each decoder layer; must divide the width d-model."""
    dropout: float = 0.1
    """Dropout rate of the decoder during training, on the input and after each part."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the decoder's matrix products."""

    def __post_init__(self) -> None:
        if self.d_model % self.n_heads or self.d_model % 2:
            raise UserError(f"decoder: d_model {self.d_model} must be even and a multiple of n_heads {self.n_heads}")
        if self.n_layers < 1:
            raise UserError(f"decoder: n_layers is {self.n_layers}; it needs at least one")


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of the recurrent CTC model."""

    cell: Literal["gru", "lstm"] = "gru"
    """Kind of the recurrent cell."""
    n_layers: int = 2
    """Number of bidirectional recurrent layers."""
    size: int = 256
    """Units of each direction of each recurrent layer."""
    dropout: float = 0.2
    """Dropout rate during training, on the input of each recurrent layer but the first and on the output."""

    def __post_init__(self) -> None:
        if self.n_layers < 1 or self.size < 1:
            raise UserError("recurrent: n_layers and size must be at least 1")


@dataclass(frozen=True)
class BeamConfig:
    """Settings of the beam search."""

    size: int = 8
    """Hypotheses that are kept at each step of the beam search."""
    ctc_weight: float = 0.3
    """Weight of CTC in the beam search, compared with attention: 0 uses attention alone, 1 CTC alone. A model without a decoder
    always uses CTC alone."""
    lm_weight: float = 0.3
    """Weight of the language model of --lm in the beam search."""
    unit_bonus: float = 0.0
    """Added to the score of a hypothesis for each of its units; a higher value makes hypotheses longer."""
    n_best: int = 1
    """Number of hypotheses to find. The search continues until no other hypothesis can overtake these."""
    candidates: int = 64
    """Where there are more units than this number, CTC scores only this many extensions of each hypothesis, those that
    attention and the language model prefer. A search by CTC alone scores all extensions."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.candidates < 1 or not 1 <= self.n_best <= self.size:
            raise UserError("beam: size and candidates must be at least 1, and n_best from 1 to size")
        if not 0.0 <= self.ctc_weight <= 1.0:
            raise UserError(f"beam: ctc_weight is {self.ctc_weight}; give 0 (attention alone) to 1 (CTC alone)")
