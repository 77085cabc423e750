"""The options of `jfewshot export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import arg


@dataclass(frozen=True)
class ExportOptions:
    """Write the encoder of a pretraining run as a folder that `jfewshot extract` takes as the upstream simclr:FOLDER, or as a
    file for programs without JAX: a checkpoint of s3prl, an ONNX network, or safetensors."""

    EXAMPLES: ClassVar = (
        "jfewshot export runs/first --out encoders/first --name first",
        "jfewshot export runs/first --out encoders/first --name first --average-best 5 --dtype float16",
        "jfewshot export runs/first --out first.onnx --name first --format onnx",
        "jfewshot export encoders/first --out states.ckpt --name first --format s3prl",
    )
    HEADINGS: ClassVar = {
        "out": "The encoder folder",
        "step": "Which checkpoint",
        "default_view": "What stores keep",
        "title": "For the model card",
    }

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the pretraining run (the --out folder of `jfewshot pretrain`), or of an exported encoder."""
    out: Annotated[Path, arg(metavar="PATH")]
    """Folder to write the encoder to; a file for the formats s3prl, onnx and safetensors."""
    name: str
    """Name of the encoder in stores and tables."""
    format: Literal["folder", "s3prl", "onnx", "safetensors"] = "folder"
    """What is written. folder: for simclr:FOLDER of `jfewshot extract`. s3prl: a checkpoint that s3prl's upstreams tera_local and
    mockingjay_local load; only for encoders without a prenet, and it needs PyTorch. onnx: a network from waves to the hidden
    states of every layer, in float32 (needs the package onnx). safetensors: the arrays and their description in one file (needs
    the package safetensors)."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the stored weights. float16 halves the file and changes hidden states by about 1e-3."""
    step: int | None = None
    """Export the checkpoint of this training step; 0 is the untrained encoder, which serves as a control. Without this
    option, the latest checkpoint."""
    average_best: int = 0
    """Export the average of this many checkpoints, those with the lowest validation loss (or the highest accuracy on
    --monitor.development), instead of a single one. 0 exports a single checkpoint."""
    default_view: Annotated[str, arg(metavar="LAYER.POOLING")] = ""
    """Layer and pooling that serve the encoder best, for instance last.mean_std. `jfewshot extract` keeps this view in
    addition to the requested ones, and `jfewshot run` evaluates it without --views. Without this option, last.mean."""
    title: str = ""
    """Title of the encoder for people. Without this option, its name."""
    licence: str = ""
    """Licence of the weights; the licences of the training data may restrict it."""
    source: str = ""
    """Name and licence of the data that the encoder was trained on."""
    replace: bool = False
    """Replace the encoder in the --out folder, or the file. A folder that holds any other file is never replaced."""
