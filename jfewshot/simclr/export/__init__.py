"""Writes a trained encoder as a folder whose use needs no training code, no torch and no download.

- `folder`: the contents of the folder; `write_encoder`, `read_encoder`
- `loaded`: `load_encoder(folder)` returns a callable from waves to frames of each layer
- `card`: the model card
- `options`: the options of `jfewshot export`
- `run`: from a training run to such a folder, or to a file of another format
- `onnx_file`, `safetensors_file`: the encoder in one file, for programs without JAX

Names are imported at their first use, so that `--help` of the command line does not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jfewshot.simclr.export.folder import EncoderFolder, read_encoder, write_encoder
    from jfewshot.simclr.export.loaded import LoadedEncoder, load_encoder

__all__ = ["EncoderFolder", "LoadedEncoder", "load_encoder", "read_encoder", "write_encoder"]

_ROOMS = {
    "EncoderFolder": "folder",
    "LoadedEncoder": "loaded",
    "load_encoder": "loaded",
    "read_encoder": "folder",
    "write_encoder": "folder",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
