"""Twelve of the paper's 13 encoders, and all other encoders of s3prl, through s3prl's own code.

compat.py       makes s3prl importable together with current versions of torch and torchaudio
paper.py        the twelve encoders: names, shortest input, and the places of the weights in their files
weights.py      finds the files, and makes s3prl read them safely
checking.py     checks that a file belongs to an encoder
loading.py      loads an encoder by name
encoder.py      computes frames of waves
faster.py       computes some modules faster on a CPU, with the same features
convolution.py  the algorithm of these faster convolutions
baselines.py    the baselines without weights
"""

import functools

from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl.loading import load_s3prl
from extraction.upstreams.s3prl.paper import PAPER_UPSTREAMS

__all__ = ["PAPER_UPSTREAMS", "any_s3prl", "load_s3prl"]


def any_s3prl(name: str, options: UpstreamOptions):
    """Load `s3prl:NAME`, the encoder with the name NAME in s3prl."""
    return load_s3prl(name, options)


wavlm_base = functools.partial(load_s3prl, "wavlm_base")
hubert_base = functools.partial(load_s3prl, "hubert_base")
wav2vec2_base_960 = functools.partial(load_s3prl, "wav2vec2_base_960")
distilhubert_base = functools.partial(load_s3prl, "distilhubert_base")
decoar2 = functools.partial(load_s3prl, "decoar2")
wav2vec_large = functools.partial(load_s3prl, "wav2vec_large")
vq_wav2vec_gumbel = functools.partial(load_s3prl, "vq_wav2vec_gumbel")
apc_960hr = functools.partial(load_s3prl, "apc_960hr")
vq_apc_960hr = functools.partial(load_s3prl, "vq_apc_960hr")
npc_960hr = functools.partial(load_s3prl, "npc_960hr")
tera_960hr = functools.partial(load_s3prl, "tera_960hr")
mockingjay_960hr = functools.partial(load_s3prl, "mockingjay_960hr")
s3prl_fbank = functools.partial(load_s3prl, "fbank")
s3prl_fbank_no_cmvn = functools.partial(load_s3prl, "fbank_no_cmvn")
s3prl_mfcc = functools.partial(load_s3prl, "mfcc")
s3prl_mel = functools.partial(load_s3prl, "mel")
s3prl_linear = functools.partial(load_s3prl, "linear")
s3prl_spectrogram = functools.partial(load_s3prl, "spectrogram")
