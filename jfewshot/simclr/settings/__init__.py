"""Options for features, augmentation and encoder. This package loads neither JAX nor NumPy, so that `--help` is quick.

- `encoder`: sizes of the encoder, with the two of the paper
- `augmentation`: strength and probability of each augmentation, and TERA's alteration
- `fbank`: the filter bank
- `monitor`: measurements while an encoder trains
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
