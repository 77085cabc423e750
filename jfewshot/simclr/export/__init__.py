"""A trained encoder as a folder that needs no training code, no torch and no download.

- `folder`: what is in it; `write_encoder`
- `loaded`: `load_encoder(folder)`, a callable from waves to frames per layer
- `card`: the model card
- `run`: `python -m jfewshot.simclr.export`: from a training run to such a folder
"""

from jfewshot.simclr.export.folder import EncoderFolder, read_encoder, write_encoder
from jfewshot.simclr.export.loaded import LoadedEncoder, load_encoder

__all__ = ["EncoderFolder", "LoadedEncoder", "load_encoder", "read_encoder", "write_encoder"]
