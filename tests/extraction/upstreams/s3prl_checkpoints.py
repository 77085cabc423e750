"""Random-weight checkpoints of the paper's encoders, in the file formats that s3prl 0.4.18 reads.

The modules are s3prl's own, so tensor names are authentic; only the dictionaries around them are spelled out here. `tiny`
shrinks widths and depths to what a test needs, `full` is the published architecture.
"""

import argparse
import contextlib
import dataclasses
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from extraction.upstreams.s3prl import compat

TINY_CONVOLUTIONS = "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] * 2"
BASE_CONVOLUTIONS = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2"
# DeCoAR 2.0's architecture is fixed in s3prl's source; a tiny file loads only while the source's settings are these.
TINY_DECOAR2 = {
    "encoder_embed_dim": 32,
    "encoder_layers": 2,
    "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}
_TINY_ENCODER = TINY_DECOAR2 | {"conv_feature_layers": TINY_CONVOLUTIONS}
_DROPOUTS = {"encoder_layerdrop": 0.05, "dropout_input": 0.1, "dropout_features": 0.1, "feature_grad_mult": 0.1}


@contextlib.contextmanager
def tiny_decoar2() -> Iterator[None]:
    """Inside, s3prl's source describes the tiny DeCoAR 2.0."""
    compat.prepare()
    from s3prl.upstream.decoar2 import decoar2 as source

    before = dict(source.args)
    source.args.update(TINY_DECOAR2)
    try:
        yield
    finally:
        source.args.update(before)


def randomised(module: torch.nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """The module's state with noise on every number, so that no tensor is left at a constant that hides a wrong mapping."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        if name.endswith("conv_mask") or not tensor.is_floating_point():
            state[name] = tensor.clone()
        else:
            noise = 0.05 * torch.randn(tensor.shape, generator=generator)
            state[name] = tensor + (noise.abs() if name.endswith("running_var") else noise)
    return state


def _only_fields(kind: type, settings: Mapping[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in settings.items() if name in names})


def wavlm(tiny: bool) -> dict:
    from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig

    settings = vars(WavLMConfig()) | _DROPOUTS | {"mask_prob": 0.8, "conv_feature_layers": BASE_CONVOLUTIONS}
    settings |= {"relative_position_embedding": True, "max_distance": 800, "gru_rel_pos": True}
    settings |= _TINY_ENCODER if tiny else {}
    return {"cfg": settings, "model": randomised(WavLM(WavLMConfig(settings)))}


def hubert(tiny: bool) -> dict:
    from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig

    task = dataclasses.asdict(HubertPretrainingConfig(label_rate=50.0, max_sample_size=250_000))
    settings = dataclasses.asdict(HubertConfig(label_rate=50.0)) | _DROPOUTS
    settings |= {"_name": "hubert", "final_dim": 256, "untie_final_proj": True, "mask_prob": 0.8}
    settings |= (_TINY_ENCODER | {"final_dim": 8}) if tiny else {}
    symbols = [["<s>", "<pad>", "</s>", "<unk>", *map(str, range(8 if tiny else 500))]]
    model = HubertModel(_only_fields(HubertConfig, settings), _only_fields(HubertPretrainingConfig, task), symbols)
    return {
        "task_cfg": task,
        "model_cfg": settings,
        "model_weight": randomised(model),
        "dictionaries_symbols": symbols,
    }


def wav2vec2(tiny: bool) -> dict:
    from s3prl.upstream.wav2vec2.wav2vec2_model import AudioPretrainingConfig, Wav2Vec2Config, Wav2Vec2Model

    settings = dataclasses.asdict(Wav2Vec2Config()) | _DROPOUTS | {"_name": "wav2vec2", "quantize_targets": True}
    settings |= {"final_dim": 256, "latent_vars": 320, "latent_groups": 2}
    settings |= (_TINY_ENCODER | {"final_dim": 8, "latent_vars": 8}) if tiny else {}
    return {
        "task_cfg": dataclasses.asdict(AudioPretrainingConfig(max_sample_size=250_000)),
        "model_cfg": settings,
        "model_weight": randomised(Wav2Vec2Model(_only_fields(Wav2Vec2Config, settings))),
    }


def distilhubert(tiny: bool) -> dict:
    from s3prl.upstream.distiller.model import DistillerConfig, DistillerModel

    settings = {"out_layer_type": "expand-last", "task_emb_type": "expand-last", "n_tasks": 3, "final_dim": 768}
    settings |= {"pred_layer_id": [4, 8, 12], "encoder_layers": 2, "extractor_conv_feature_layers": BASE_CONVOLUTIONS}
    if tiny:
        shape = dict(_TINY_ENCODER)
        settings |= {"extractor_conv_feature_layers": shape.pop("conv_feature_layers"), "final_dim": 32} | shape
    config = {"distiller": settings, "teacher": {"model": "hubert_base", "n_layers": 12}, "task": {}, "audio": {}}
    return {
        "Optimizer": {},
        "Step": 200_000,
        "Args": argparse.Namespace(mode="train"),
        "Config": config,
        "Distiller": randomised(DistillerModel(DistillerConfig(settings))),
    }


def decoar2(tiny: bool) -> dict:
    from s3prl.upstream.decoar2.decoar2 import Decoar2

    with tiny_decoar2() if tiny else contextlib.nullcontext():
        # The published file also holds what was only needed for training.
        return {"model": randomised(Decoar2()) | {"training_only.weight": torch.ones(3)}}


def _convolutional(tiny: bool, pointwise: int, **settings: Any) -> dict:
    from s3prl.upstream.wav2vec.wav2vec_model import Wav2VecConfig, Wav2VecModel
    from s3prl.upstream.wav2vec2.wav2vec2_model import AudioPretrainingConfig

    width = 16 if tiny else 512
    features = [(width, 10, 5), (width, 8, 4), *[(width, 4, 2)] * 3, *[(width, 1, 1)] * pointwise]
    aggregator = [(width, kernel, 1) for kernel in range(2, 4 if tiny else 14)]
    settings = (
        dataclasses.asdict(Wav2VecConfig(infonce=False))
        | {
            "_name": "wav2vec",
            "conv_feature_layers": str(features),
            "conv_aggregator_layers": str(aggregator),
            "skip_connections_agg": True,
            "log_compression": True,
            "residual_scale": 0.5,
            "prediction_steps": 12,
        }
        | settings
    )
    return {
        "task_cfg": dataclasses.asdict(AudioPretrainingConfig(max_sample_size=150_000)),
        "model_cfg": settings,
        "model_weight": randomised(Wav2VecModel(_only_fields(Wav2VecConfig, settings))),
    }


def wav2vec(tiny: bool) -> dict:
    return _convolutional(tiny, pointwise=2)


def vq_wav2vec(tiny: bool) -> dict:
    quantizer = {"vq_type": "gumbel", "vq_vars": 8 if tiny else 320, "vq_groups": 2, "vq_depth": 2}
    return _convolutional(tiny, pointwise=3, activation="gelu", **quantizer)


def _log_fbank() -> dict:
    return {"feat_type": "fbank", "feat_dim": 80, "frame_length": 25, "frame_shift": 10, "cmvn": True}


def _recurrent(tiny: bool, quantized: bool) -> dict:
    from s3prl.upstream.apc.apc import APC

    width = 16 if tiny else 512
    settings: dict[str, Any] = {"num_layers": 3, "hidden_size": width, "dropout": 0.1, "residual": True}
    if quantized:
        settings["vq"] = {"codebook_size": [width], "code_dim": [width], "gumbel_temperature": 0.5}
    return {
        "config": {"data": {"audio": _log_fbank()}, "model": {"paras": settings}},
        "model": randomised(APC(80, **settings)),
    }


def apc(tiny: bool) -> dict:
    return _recurrent(tiny, quantized=False)


def vq_apc(tiny: bool) -> dict:
    return _recurrent(tiny, quantized=True)


def npc(tiny: bool) -> dict:
    from s3prl.upstream.npc.npc import NPC

    width, groups = (16, 2) if tiny else (512, 4)
    settings = {"kernel_size": 15, "mask_size": 5, "n_blocks": 2 if tiny else 4, "hidden_size": width, "dropout": 0.1}
    settings |= {"residual": True, "batch_norm": True, "activate": "relu", "disable_cross_layer": False}
    codes = {"codebook_size": [64] * groups, "code_dim": [width // groups] * groups, "gumbel_temperature": 1.0}
    settings["vq"] = codes
    return {
        "config": {"data": {"audio": _log_fbank()}, "model": {"paras": settings}},
        "model": randomised(NPC(80, **settings)),
    }


def masked_transformer(tiny: bool, layers: int = 3) -> dict:
    """TERA's and Mockingjay's format; both are 3 layers in their LS960 variants."""
    from s3prl.upstream.mockingjay.model import TransformerConfig, TransformerModel, TransformerSpecPredictionHead

    settings = {"input_dim": -1, "hidden_size": 768, "num_hidden_layers": layers, "num_attention_heads": 12}
    settings |= {"intermediate_size": 3072, "hidden_act": "gelu", "hidden_dropout_prob": 0.1}
    settings |= {"attention_probs_dropout_prob": 0.1, "initializer_range": 0.02, "layer_norm_eps": 1e-12}
    settings |= {"share_layer": False, "pre_layer_norm": False}
    if tiny:
        settings |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    log_mel = {"feat_type": "mel", "channel": 0, "log": True, "delta": 0, "cmvn": True}
    audio = {"target_level": -25, "win_ms": 25, "hop_ms": 10, "n_freq": 201, "n_mels": 80, "n_mfcc": 13}
    audio |= {"input": dict(log_mel), "target": dict(log_mel)}
    config = TransformerConfig(settings)
    return {
        "Optimizer": {},
        "Step": 1_000_000,
        "Args": argparse.Namespace(mode="pretrain"),
        "Config": {"runner": {}},
        "Upstream_Config": {"transformer": settings, "task": {"sequence_length": 1500}, "audio": audio},
        "Transformer": randomised(TransformerModel(config, 80)),
        "SpecHead": randomised(TransformerSpecPredictionHead(config, 80)),
    }


BUILDERS: dict[str, Callable[[bool], dict]] = {
    "wavlm_base": wavlm,
    "hubert_base": hubert,
    "wav2vec2_base_960": wav2vec2,
    "distilhubert_base": distilhubert,
    "decoar2": decoar2,
    "wav2vec_large": wav2vec,
    "vq_wav2vec_gumbel": vq_wav2vec,
    "apc_960hr": apc,
    "vq_apc_960hr": vq_apc,
    "npc_960hr": npc,
    "tera_960hr": masked_transformer,
    "mockingjay_960hr": masked_transformer,
}


# s3prl's own way to the same file: folder of the hub module, function.
LOCAL_ENTRIES: dict[str, tuple[str, str]] = {
    "wavlm_base": ("wavlm", "wavlm_local"),
    "hubert_base": ("hubert", "hubert_local"),
    "wav2vec2_base_960": ("wav2vec2", "wav2vec2_local"),
    "distilhubert_base": ("distiller", "distiller_local"),
    "decoar2": ("decoar2", "decoar2_local"),
    "wav2vec_large": ("wav2vec", "wav2vec_local"),
    "vq_wav2vec_gumbel": ("vq_wav2vec", "vq_wav2vec_custom"),
    "apc_960hr": ("apc", "apc_local"),
    "vq_apc_960hr": ("apc", "apc_local"),
    "npc_960hr": ("npc", "npc_local"),
    "tera_960hr": ("tera", "tera_local"),
    "mockingjay_960hr": ("mockingjay", "mockingjay_local"),
}


def s3prl_direct(name: str, path: Path | None = None) -> Callable[[Any], list[Any]]:
    """s3prl called as its documentation has it, one wave at a time: a function from a wave to its hidden states."""
    compat.prepare()
    if name in ("tera_960hr", "mockingjay_960hr"):
        compat.use_fast_sinusoid_table()  # identical, as test_compat shows, and 20 s faster
    folder, function = LOCAL_ENTRIES.get(name, ("baseline", name))
    with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([argparse.Namespace]):
        module = importlib.import_module(f"s3prl.upstream.{folder}.hubconf")
        expert = getattr(module, function)(*([str(path)] if path else [])).eval()

    def states(wave: Any) -> list[Any]:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            output = expert([torch.from_numpy(wave)])
        np.testing.assert_array_equal(output["last_hidden_state"], output["hidden_states"][-1])  # NaN equals NaN here
        return [state[0].numpy() for state in output["hidden_states"]]

    states.expert = expert
    return states


def write_checkpoint(name: str, folder: Path, tiny: bool = True) -> Path:
    """Save a random-weight checkpoint of the named encoder and return its path."""
    compat.prepare()
    path = folder / f"{name}.{'tiny' if tiny else 'full'}.pt"
    with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(sum(map(ord, name)))  # s3prl's modules draw their first weights from the global generator
        torch.save(BUILDERS[name](tiny), path)
    return path
