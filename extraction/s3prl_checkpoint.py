"""An exported encoder as a checkpoint of s3prl's transformer, which its upstreams `tera_local` and `mockingjay_local` load.

```
python -m extraction.s3prl_checkpoint ENCODER --out states.ckpt
python run_downstream.py -u tera_local -k states.ckpt ...         # in s3prl
```

The checkpoint's input features are torchaudio's Kaldi filter bank without normalisation. The encoder's global normalisation
becomes part of the linear map of the input: W (x - mean) / std + b = (W / std) x + (b - W mean / std). `extraction.tera` converts
in the other direction.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from jaxtyping import Float32

from extraction.tera import LAYER_NAMES
from jfewshot.commandline import log_plainly, run_cli
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.export import EncoderFolder, read_encoder

log = logging.getLogger(__name__)

_RATE = 16_000


def why_not(encoder: EncoderFolder) -> str:
    """The reason why an encoder cannot become a checkpoint of s3prl; empty if it can.

    Args:
      encoder: an exported encoder.
    """
    config, fbank = encoder.config, encoder.fbank
    if config.prenet != "none":
        return (
            f"it has the prenet {config.prenet}, but s3prl's transformer needs a linear map there and a frame every 10 ms; "
            "train with --encoder.prenet none"
        )
    if fbank is None:
        return "it does not say how its input features are computed, and a checkpoint must say this"
    if fbank.sample_rate != _RATE:
        return f"its filter bank is for {fbank.sample_rate} Hz, and s3prl's is for {_RATE} Hz"
    if fbank.scale != 1.0:
        return (
            f"its filter bank multiplies samples by {fbank.scale:g}, and s3prl's does not; train with --fbank.scale 1"
        )
    return ""


def convert(encoder: EncoderFolder) -> dict[str, Any]:
    """Make the contents of the checkpoint.

    Args:
      encoder: an exported encoder.

    Returns:
      settings and tensors of s3prl, for `torch.save`.

    Raises:
      UserError: if s3prl's transformer cannot compute the same as the encoder; the message gives the reason.
    """
    reason = why_not(encoder)
    if reason:
        raise UserError(f"{encoder.name} cannot become a checkpoint of s3prl: {reason}")
    config, fbank = encoder.config, encoder.fbank
    assert fbank is not None
    assert encoder.mean is not None
    assert encoder.std is not None
    settings = {
        "input_dim": -1, "hidden_size": config.d_model, "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads, "intermediate_size": config.d_ff, "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": 0.0, "initializer_range": config.init_std,
        "layer_norm_eps": config.layer_norm_eps, "share_layer": False, "pre_layer_norm": config.norm == "pre",
    }  # fmt: skip
    filters = {
        "num_mel_bins": fbank.n_mels, "frame_length": fbank.frame_ms, "frame_shift": fbank.hop_ms, "dither": 0.0,
        "low_freq": fbank.low_hz, "high_freq": fbank.high_hz or 0.0, "preemphasis_coefficient": fbank.preemphasis,
    }  # fmt: skip
    audio = {"kaldi": {"feat_type": "fbank", "fbank": filters}, "delta": {"order": 0}, "cmvn": {"use_cmvn": False}}
    return {
        "Transformer": _tensors(
            folded(encoder.arrays, encoder.mean, encoder.std), config.n_layers, config.norm == "pre"
        ),
        "Upstream_Config": {"transformer": settings, "task": {"sequence_length": 0}, "audio": audio},
        "Config": {"encoder": encoder.name, "licence": encoder.licence, "source": encoder.source},
    }


def folded(
    arrays: Mapping[str, np.ndarray], mean: Float32[np.ndarray, " mels"], std: Float32[np.ndarray, " mels"]
) -> dict[str, np.ndarray]:
    """Put the normalisation of the features into the linear map of the input, in float64.

    Args:
      arrays: the encoder's parameters by name.
      mean: mean of the features.
      std: standard deviation of the features.

    Returns:
      the parameters of an encoder for features without normalisation.
    """
    kernel = np.asarray(arrays["input.kernel"], np.float64) / np.asarray(std, np.float64)[:, None]
    bias = np.asarray(arrays["input.bias"], np.float64) - np.asarray(mean, np.float64) @ kernel
    return {**arrays, "input.kernel": kernel.astype(np.float32), "input.bias": bias.astype(np.float32)}


def _tensors(arrays: Mapping[str, np.ndarray], n_layers: int, norm_before: bool) -> dict[str, torch.Tensor]:
    names = {"input": ["input_representations.spec_transform"], "input_norm": ["input_representations.LayerNorm"]}
    for number in range(n_layers):
        theirs = f"encoder.layer.{number}"
        names |= {f"layers.{number}.{ours}": [f"{theirs}.{name}"] for ours, name in LAYER_NAMES.items()}
        if norm_before:
            # s3prl also registers these in the block that applies them.
            names[f"layers.{number}.attention_norm"].append(f"{theirs}.attention.LayerNorm")
            names[f"layers.{number}.output_norm"].append(f"{theirs}.LayerNorm")
    if norm_before:
        names |= {f"hidden_norms.{number}": [f"encoder.LayerNorm.{number}"] for number in range(n_layers + 1)}
    tensors = {}
    for ours, theirs_of in names.items():
        weight = arrays[f"{ours}.kernel"].T if f"{ours}.kernel" in arrays else arrays[f"{ours}.scale"]
        for theirs in theirs_of:
            tensors[f"{theirs}.weight"] = torch.from_numpy(np.ascontiguousarray(weight, np.float32))
            tensors[f"{theirs}.bias"] = torch.from_numpy(np.ascontiguousarray(arrays[f"{ours}.bias"], np.float32))
    return tensors


@dataclass(frozen=True)
class WriteCheckpoint:
    """Turn an exported encoder without a prenet into a checkpoint that s3prl's upstreams tera_local and mockingjay_local load."""

    encoder: Annotated[Path, tyro.conf.Positional]
    """Folder of the encoder, or the name of an encoder that ships with jfewshot."""
    out: Path
    """The checkpoint file to write."""
    replace: bool = False
    """Replace the file in --out."""


def main() -> None:
    """Parse the command line and write the checkpoint."""
    log_plainly()
    options = tyro.cli(WriteCheckpoint)
    if options.out.exists() and not options.replace:
        raise UserError(f"{options.out} is there already; name another file, or pass --replace")
    checkpoint = convert(read_encoder(options.encoder))
    with atomic_write(options.out) as file:
        torch.save(checkpoint, file)


if __name__ == "__main__":
    run_cli(main)
