"""The input features of the encoder: log-mel filter banks as Kaldi computes them, and their normalisation.

- `fbank`: the filter bank, which runs on the device on batches of padded waves
- `cmvn`: normalisation with exact statistics, per utterance, per speaker or global
"""

from jfewshot.simclr.features.cmvn import Moments, SpeakerMoments, normalise, normalise_per_utterance
from jfewshot.simclr.features.fbank import fbank, n_frames
from jfewshot.simclr.settings import FbankSettings

__all__ = ["FbankSettings", "Moments", "SpeakerMoments", "fbank", "n_frames", "normalise", "normalise_per_utterance"]
