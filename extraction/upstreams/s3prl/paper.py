"""Twelve of the paper's 13 encoders: what s3prl calls them, and what to check when one of their kind is loaded.

PASE+, whose code in s3prl needs packages that are on no index, is in `extraction/upstreams/pase_plus.py`.

Facts that people read (parameters, objective, network) are in `jfewshot/data/upstreams.csv`.
"""

import dataclasses

S3PRL_RATE = 16_000

# s3prl's name -> the paper's. The variants are the LS960 ones.
PAPER_UPSTREAMS: dict[str, str] = {
    "wavlm_base": "WavLM Base",
    "hubert_base": "HuBERT Base",
    "wav2vec2_base_960": "wav2vec 2.0 Base",
    "distilhubert_base": "DistilHuBERT",
    "decoar2": "DeCoAR 2.0",
    "wav2vec_large": "wav2vec",
    "vq_wav2vec_gumbel": "vq-wav2vec",
    "apc_960hr": "APC",
    "vq_apc_960hr": "VQ-APC",
    "npc_960hr": "NPC",
    "tera_960hr": "TERA",
    "mockingjay_960hr": "Mockingjay",
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What the encoders of one folder of s3prl's have in common.

    Attributes:
      min_samples: the shortest wave with finite frames: one receptive field of the convolutions; two frames of 400 samples
        every 160 where filter banks are divided by their standard deviation over time.
      top_level: keys that a file must have.
      weights: which of them holds the tensors.
      filled: the module of s3prl's expert that they fill.
      quantizer: how names of quantizing layers begin, and whether this kind has them: all that tells two formats apart.
    """

    min_samples: int
    top_level: tuple[str, ...]
    weights: str
    filled: str
    quantizer: tuple[str, bool] | None = None


_FAIRSEQ = ("task_cfg", "model_cfg", "model_weight")
_MASKED = Kind(201, ("Config", "Transformer"), "Transformer", "transformer.model")
_SPECTRAL = (560, ("config", "model"), "model", "model")
_CONVOLUTIONAL = (465, _FAIRSEQ, "model_weight", "model")

KINDS: dict[str, Kind] = {
    "wavlm": Kind(400, ("cfg", "model"), "model", "model"),
    "hubert": Kind(400, (*_FAIRSEQ, "dictionaries_symbols"), "model_weight", "model"),
    "wav2vec2": Kind(400, _FAIRSEQ, "model_weight", "model"),
    "distiller": Kind(400, ("Config", "Distiller"), "Distiller", "model.model"),
    "decoar2": Kind(560, ("model",), "model", "model"),
    "wav2vec": Kind(*_CONVOLUTIONAL, quantizer=("vector_quantizer", False)),
    "vq_wav2vec": Kind(*_CONVOLUTIONAL, quantizer=("vector_quantizer", True)),
    "apc": Kind(*_SPECTRAL, quantizer=("vq_layers", False)),
    "vq_apc": Kind(*_SPECTRAL, quantizer=("vq_layers", True)),
    "npc": Kind(*_SPECTRAL),
    "tera": _MASKED,
    "mockingjay": _MASKED,
}
