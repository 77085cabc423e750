"""The options of `jfewshot export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import arg


@dataclass(frozen=True)
class ExportOptions:
    """Write the encoder of a pretraining run as a folder that `jfewshot extract` takes as the upstream simclr:FOLDER."""

    EXAMPLES: ClassVar = (
        "jfewshot export runs/first --out encoders/first --name first",
        "jfewshot export runs/first --out encoders/first --name first --average-best 5 --dtype float16",
    )
    HEADINGS: ClassVar = {
        "out": "The encoder folder",
        "step": "Which checkpoint",
        "default_view": "What stores keep",
        "title": "For the model card",
    }

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the pretraining run: the --out folder of `jfewshot pretrain`."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder to write the encoder to."""
    name: str
    """Name of the encoder in stores and tables."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the stored weights. float16 halves the file and changes hidden states by about 1e-3."""
    step: int | None = None
    """Export the checkpoint of this training step; 0 is the untrained encoder, which serves as a control. Without this
    option, the latest checkpoint."""
    average_best: int = 0
    """Export the average of this many checkpoints, those with the lowest validation loss (or the highest accuracy on
    --monitor.development), instead of a single one. 0 exports a
    single checkpoint."""
    default_view: Annotated[str, arg(metavar="LAYER.POOLING")] = ""
    """Layer and pooling that serve the encoder best, for instance last.mean_std. `jfewshot extract` keeps this view besides those
    that are asked for, and `jfewshot run` evaluates it without --views. Without this option, last.mean."""
    title: str = ""
    """What people call the encoder. Without this option, its name."""
    licence: str = ""
    """Licence of the weights; the licences of the training data may restrict it."""
    source: str = ""
    """Name and licence of the data that the encoder was trained on."""
    replace: bool = False
    """Replace the encoder in the --out folder. A folder that holds any other file is never replaced."""
