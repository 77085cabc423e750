"""The encoder, and the heads on top of it during training.

- `prenet`: the convolutions that make four frames one, in the ASR variant
- `attention`: masked attention, fast on CPUs too
- `transformer`: the encoder itself, masked by true lengths throughout
- `heads`: pooling and projection for the contrast, a spectrogram head for the reconstruction
- `arrays`: parameters by name, for files
"""

from jfewshot.simclr.encoder.arrays import from_arrays, to_arrays
from jfewshot.simclr.encoder.heads import Projection, SpectrogramHead, mean_over_frames, pooled
from jfewshot.simclr.encoder.transformer import Encoder
from jfewshot.simclr.settings import PAPER, PAPER_ASR, EncoderConfig

__all__ = [
    "PAPER",
    "PAPER_ASR",
    "Encoder",
    "EncoderConfig",
    "Projection",
    "SpectrogramHead",
    "from_arrays",
    "mean_over_frames",
    "pooled",
    "to_arrays",
]
