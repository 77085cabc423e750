"""s3prl's TERA checkpoints (and Mockingjay's, which are the same network) as arrays that our encoder loads without
torch.

```
python -m extraction.tera CHECKPOINT --out FOLDER
```

The folder holds only the transformer. Its input features are s3prl's own (torchaudio's log-mel with normalisation per utterance,
or Kaldi's with deltas). s3prl computes these, and our filter bank does not.
"""

import argparse
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from jfewshot.commandline import log_plainly, run_cli
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.export import EncoderFolder, write_encoder
from jfewshot.simclr.export.folder import check_encoder_place

log = logging.getLogger(__name__)

# Our names, and s3prl's names in encoder.layer.<n>.
LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}


def convert(checkpoint: Path | str) -> tuple[EncoderConfig, dict[str, np.ndarray]]:
    """Read a checkpoint into our configuration and arrays.

    Raises:
      UserError: if the file is no such checkpoint, if its activation is not GELU, or if it has tensors that do not belong to
        the architecture.
    """
    states = _load(Path(checkpoint))
    settings = _transformer_settings(states, checkpoint)
    if settings["hidden_act"] != "gelu":
        raise UserError(f"{checkpoint}: activation {settings['hidden_act']!r}; our encoder has only gelu")
    # Old checkpoints use TensorFlow's names for the parameters of LayerNorm.
    tensors = {
        name.replace("gamma", "weight").replace("beta", "bias"): tensor.numpy()
        for name, tensor in states["Transformer"].items()
    }
    config = EncoderConfig(
        n_mels=tensors["input_representations.spec_transform.weight"].shape[1],
        n_layers=int(settings["num_hidden_layers"]),
        d_model=int(settings["hidden_size"]),
        d_ff=int(settings["intermediate_size"]),
        n_heads=int(settings["num_attention_heads"]),
        norm="pre" if settings.get("pre_layer_norm", False) else "post",
        layer_norm_eps=float(settings.get("layer_norm_eps", 1e-12)),
        dropout=float(settings["hidden_dropout_prob"]),
    )
    names = {"input": "input_representations.spec_transform", "input_norm": "input_representations.LayerNorm"}
    for number in range(config.n_layers):
        names |= {f"layers.{number}.{ours}": f"encoder.layer.{number}.{theirs}" for ours, theirs in LAYER_NAMES.items()}
    if config.norm == "pre":
        names |= {f"hidden_norms.{number}": f"encoder.LayerNorm.{number}" for number in range(config.n_layers + 1)}

    arrays: dict[str, np.ndarray] = {}
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            if f"{theirs}.{part}" not in tensors:
                raise UserError(
                    f"{checkpoint}: no tensor {theirs}.{part}; is it a TERA or Mockingjay checkpoint of s3prl?"
                )
        weight, bias = tensors.pop(f"{theirs}.weight"), tensors.pop(f"{theirs}.bias")
        # torch keeps a linear map as (out, in); flax as (in, out).
        kernel = {f"{ours}.scale": weight} if weight.ndim == 1 else {f"{ours}.kernel": weight.T}
        arrays |= kernel | {f"{ours}.bias": bias}
    # With the norm before, s3prl registers each layer's norms a second time under the block that applies them.
    left = [name for name in tensors if not name.endswith((".attention.LayerNorm.weight", ".attention.LayerNorm.bias"))]
    left = [name for name in left if config.norm == "post" or name.split(".")[3] != "LayerNorm"]
    if left:
        raise UserError(f"{checkpoint}: tensors that do not belong to the architecture: {left[:5]}")
    return config, {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}


def _load(checkpoint: Path) -> Mapping[str, Any]:
    try:
        # The file also holds the training arguments. No other class that could run code is allowed.
        with torch.serialization.safe_globals([argparse.Namespace]):
            states = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {checkpoint}") from None
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{checkpoint} cannot be read as a torch checkpoint without running code from it: {error}"
        ) from error
    if not isinstance(states, Mapping) or "Transformer" not in states:
        raise UserError(f"{checkpoint} has no 'Transformer' entry: it is no TERA or Mockingjay checkpoint of s3prl")
    return states


def _transformer_settings(states: Mapping[str, Any], checkpoint: Path | str) -> Mapping[str, Any]:
    for place in ("Config", "Upstream_Config"):
        if "transformer" in states.get(place, {}):
            return states[place]["transformer"]
    raise UserError(f"{checkpoint} does not say its architecture (no 'transformer' in Config or Upstream_Config)")


@dataclass(frozen=True)
class ConvertTera:
    """Turn s3prl's TERA or Mockingjay checkpoint into an encoder folder that loads without torch."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The checkpoint file, for instance `states-1000000.ckpt`."""
    out: Path
    """The encoder folder to write."""
    name: str = "tera"
    """The encoder's name."""
    licence: str = ""
    """Licence of the weights."""
    replace: bool = False
    """Replace the encoder in the --out folder. A folder that holds any other file is never replaced."""


def main() -> None:
    """Parse the command line and write the encoder folder."""
    log_plainly()
    options = tyro.cli(ConvertTera)
    check_encoder_place(options.out, options.replace)
    config, arrays = convert(options.checkpoint)
    source = f"{options.checkpoint.name}, converted from s3prl's format"
    folder = EncoderFolder(options.name, config, arrays, licence=options.licence, source=source)
    write_encoder(options.out, folder, replace=options.replace)
    log.info("%s: %d layers of width %d, written to %s", options.name, config.n_layers, config.d_model, options.out)


if __name__ == "__main__":
    run_cli(main)
