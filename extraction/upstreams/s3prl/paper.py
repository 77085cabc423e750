"""Twelve of the paper's 13 encoders: their names in s3prl, and what to check when an encoder of their kinds is loaded.

PASE+ is in `extraction/upstreams/pase_plus.py`, since s3prl's code for it needs packages that are not on PyPI.

Facts for readers (parameters, objective, network) are in `jfewshot/data/upstreams.csv`.
"""

import dataclasses

S3PRL_RATE = 16_000

# The names in the paper by the names in s3prl. The variants are those that were trained on LibriSpeech, 960 h.
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
    """Properties that the encoders in one folder of s3prl have in common.

    Attributes:
      min_samples: length of the shortest wave with finite frames: one receptive field of the convolutions; or, if filter banks
        are divided by their standard deviation over time, two frames of 400 samples every 160.
      top_level: keys that a file must have.
      weights: the key with the tensors.
      filled: the module of s3prl's expert that these tensors fill.
      quantizer: beginning of the names of quantizing layers, and whether this kind has such layers. Some pairs of formats differ
        only in these layers.
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
