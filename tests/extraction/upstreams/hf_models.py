"""Tiny random-weight models of transformers, and the same weights as s3prl's.

transformers is imported inside the functions: it takes seconds, and needs a torchaudio that can be imported, or none.
"""

import contextlib
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

from extraction.upstreams.s3prl import compat


class Tiny(NamedTuple):
    """Class names and settings of a tiny model, and what its last layer gives for a second: frames and dimension."""

    model: str
    config: str
    settings: dict[str, Any]
    extractor: str
    extractor_settings: dict[str, Any]
    frames_and_dim: tuple[int, int]


_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_POSITIONS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
_WAVES = _SIZE | _POSITIONS | {"conv_dim": (16,) * 7}
_STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
_TWO_STACKS = {
    f"{stack}_{what}": count for stack in ("encoder", "decoder") for what, count in (("layers", 2), ("ffn_dim", 64))
}
_WAVE = "Wav2Vec2FeatureExtractor"
_RAW, _NORMALISED = {"do_normalize": False}, {"do_normalize": True}

TINY: dict[str, Tiny] = {
    "hubert": Tiny("HubertModel", "HubertConfig", _WAVES, _WAVE, _RAW, (49, 32)),
    "wav2vec2": Tiny("Wav2Vec2Model", "Wav2Vec2Config", _WAVES, _WAVE, _NORMALISED, (49, 32)),
    "wav2vec2_large": Tiny("Wav2Vec2Model", "Wav2Vec2Config", _WAVES | _STABLE, _WAVE, _NORMALISED, (49, 32)),
    "wavlm": Tiny("WavLMModel", "WavLMConfig", _WAVES, _WAVE, _RAW, (49, 32)),
    "data2vec": Tiny("Data2VecAudioModel", "Data2VecAudioConfig", _WAVES, _WAVE, _NORMALISED, (49, 32)),
    "sew": Tiny("SEWModel", "SEWConfig", _WAVES | {"conv_dim": (16,) * 13}, _WAVE, _NORMALISED, (49, 32)),
    "unispeech_sat": Tiny("UniSpeechSatModel", "UniSpeechSatConfig", _WAVES, _WAVE, _RAW, (49, 32)),
    "w2v_bert": Tiny(
        "Wav2Vec2BertModel",
        "Wav2Vec2BertConfig",
        _SIZE | {"feature_projection_input_dim": 160},
        "SeamlessM4TFeatureExtractor",
        {},
        (49, 32),
    ),
    "whisper": Tiny(
        "WhisperModel",
        "WhisperConfig",
        _TWO_STACKS | {"d_model": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
        "WhisperFeatureExtractor",
        {},
        (50, 32),
    ),
    "moonshine": Tiny(
        "MoonshineModel",
        "MoonshineConfig",
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "encoder_num_hidden_layers": 2,
            "decoder_num_hidden_layers": 2,
            "encoder_num_attention_heads": 4,
            "decoder_num_attention_heads": 4,
        },
        _WAVE,
        _RAW,
        (40, 32),
    ),
}
_UNSUPPORTED = {"spectrogram_transformer": Tiny("ASTModel", "ASTConfig", _SIZE, "ASTFeatureExtractor", {}, (0, 0))}


def save_tiny(kind: str, folder: Path) -> None:
    """Write a random-weight model of that kind and its feature extractor, as `save_pretrained` does."""
    tiny = (TINY | _UNSUPPORTED)[kind]
    _save(tiny, folder, None)


def _save(tiny: Tiny, folder: Path, tensors: dict[str, torch.Tensor] | None) -> None:
    compat.prepare_torchaudio()
    with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
        import transformers

        torch.manual_seed(0)
        model = getattr(transformers, tiny.model)(getattr(transformers, tiny.config)(**tiny.settings))
        if tensors is not None:
            model.load_state_dict(tensors)
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar for one file
            model.save_pretrained(folder)
        getattr(transformers, tiny.extractor)(**tiny.extractor_settings).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"]


# Tensor names: s3prl's (fairseq's), and transformers' for the same thing.
_RENAMINGS = [
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.2\.", r"\1.layer_norm."),
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
]
_SAME = {"hubert_base": "hubert", "wav2vec2_base_960": "wav2vec2", "wavlm_base": "wavlm", "distilhubert_base": "hubert"}


def transformers_from_s3prl(name: str, checkpoint: Path, folder: Path) -> None:
    """Write the weights of a tiny s3prl checkpoint as a model of transformers."""
    contents = torch.load(checkpoint, weights_only=False)
    saved = contents[{"wavlm_base": "model", "distilhubert_base": "Distiller"}.get(name, "model_weight")]
    tiny = TINY[_SAME[name]]
    if name == "distilhubert_base":
        # The published model of transformers has no layer norm before the projection either.
        tiny = tiny._replace(settings=tiny.settings | {"feat_proj_layer_norm": False})
    with warnings.catch_warnings(action="ignore"):
        import transformers

        wanted = getattr(transformers, tiny.model)(getattr(transformers, tiny.config)(**tiny.settings)).state_dict()
    tensors = {}
    for key, tensor in saved.items():
        for pattern, replacement in _RENAMINGS:
            key = re.sub(pattern, replacement, key)
        if key in wanted:  # heads, quantizers and label embeddings have no place there
            tensors[key] = tensor
    tensors.setdefault("masked_spec_embed", torch.zeros(32))
    _save(tiny._replace(extractor_settings={"do_normalize": False}), folder, tensors)
