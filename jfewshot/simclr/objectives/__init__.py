"""The losses of the pretraining: contrast between utterances, and reconstruction of altered features.

- `ntxent`: NT-Xent, dense, tiled, and sharded over devices
- `reconstruction`: TERA's L1 loss
"""

from jfewshot.simclr.objectives.ntxent import Contrast, ntxent, ntxent_rows, ntxent_sharded
from jfewshot.simclr.objectives.reconstruction import reconstruction_l1, reconstruction_sums

__all__ = ["Contrast", "ntxent", "ntxent_rows", "ntxent_sharded", "reconstruction_l1", "reconstruction_sums"]
