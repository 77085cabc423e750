"""s3prl's baselines without weights, and a correction for two of them.

All but `fbank_no_cmvn` are normalised per utterance: over time, each coefficient has mean 0 and standard deviation 1. Their mean
over time is therefore zero up to rounding for every recording. Use another pooling (min, max), or the project's own `fbank` and
`mfcc`, which are not normalised.
"""

import functools
from typing import Any

MIN_SAMPLES = {
    "fbank": 560,
    "fbank_no_cmvn": 400,
    "mfcc": 560,
    "mel": 201,
    "linear": 201,
    "spectrogram": 560,
}

TITLES = {
    "fbank": "FBANK 80 + deltas, per-utterance CMVN (s3prl)",
    "fbank_no_cmvn": "FBANK 80 + deltas (s3prl)",
    "mfcc": "MFCC 13 + deltas, per-utterance CMVN (s3prl)",
    "mel": "log mel 80, per-utterance CMVN (s3prl)",
    "linear": "log linear spectrum 201, per-utterance CMVN (s3prl)",
    "spectrogram": "Kaldi spectrogram 257, per-utterance CMVN (s3prl)",
}


def keep_trailing_silence(expert: Any) -> None:
    """Make `mel` and `linear` use the true lengths of waves.

    Without this, they treat trailing zeros as padding and remove them, up to the length of the longest wave in the batch. So the
    frames of a wave that ends in digital silence would depend on the other waves of its batch.
    """
    extracter: Any = getattr(expert, "extracter", None)
    if type(extracter).__name__ != "OnlinePreprocessor":
        return
    forward = extracter.forward

    @functools.wraps(forward)
    def with_lengths(waves, feat_list=None, wavs_len=None):
        return forward(waves, feat_list, wavs_len or [waves.shape[-1]] * len(waves))

    extracter.forward = with_lengths
