"""What a user may choose about features, augmentation and encoder; loads neither JAX nor NumPy, so `--help` is quick.

- `encoder`: sizes of the encoder; the paper's two
- `augmentation`: which augmentations, how strong, how often; TERA's alteration
- `fbank`: the filterbank
- `monitor`: what is measured while an encoder trains
"""

from jfewshot.simclr.settings.augmentation import AlterationConfig, AugmentationConfig
from jfewshot.simclr.settings.encoder import PAPER, PAPER_ASR, EncoderConfig
from jfewshot.simclr.settings.fbank import FbankSettings
from jfewshot.simclr.settings.monitor import MonitorConfig

__all__ = [
    "PAPER",
    "PAPER_ASR",
    "AlterationConfig",
    "AugmentationConfig",
    "EncoderConfig",
    "FbankSettings",
    "MonitorConfig",
]
