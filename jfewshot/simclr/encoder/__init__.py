"""The encoder, and the heads on top of it during training.

- `prenet`: the convolutions of the ASR variant, which make one frame of four
- `attention`: masked attention, which is fast on CPUs too
- `transformer`: the encoder itself; padding never has an influence
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
