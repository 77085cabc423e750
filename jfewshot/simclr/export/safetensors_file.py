"""Writes an exported encoder as one safetensors file: arrays by name, and encoder.json in the metadata."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.export.folder import FORMAT, FORMAT_VERSION, EncoderFolder


def write_safetensors(path: Path, encoder: EncoderFolder, dtype: str = "float32") -> None:
    """Write the file. An error leaves everything as it was before.

    Args:
      path: file to write.
      encoder: the encoder. Kernels have the shape (in, out); `cmvn.mean` and `cmvn.std` normalise the features.
      dtype: type of the parameters, float32 or float16; the normalisation is always float32.

    Raises:
      UserError: if the package safetensors is missing.
    """
    try:
        from safetensors.numpy import save
    except ImportError:
        raise UserError("--format safetensors needs the package safetensors: pip install safetensors") from None
    arrays = {name: np.ascontiguousarray(value, dtype) for name, value in encoder.arrays.items()}
    if encoder.mean is not None and encoder.std is not None:
        arrays |= {
            "cmvn.mean": np.ascontiguousarray(encoder.mean, np.float32),
            "cmvn.std": np.ascontiguousarray(encoder.std, np.float32),
        }
    described = {
        "name": encoder.name,
        "title": encoder.title or encoder.name,
        "licence": encoder.licence,
        "source": encoder.source,
        "encoder": dataclasses.asdict(encoder.config),
        "fbank": None if encoder.fbank is None else dataclasses.asdict(encoder.fbank),
        "training": dict(encoder.training),
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "encoder": json.dumps(described, ensure_ascii=False),
    }
    with atomic_write(path) as file:
        file.write(save(arrays, metadata))
