"""What users may choose about any experiment; loads neither JAX nor NumPy, so `--help` is quick."""

from typing import Literal

Development = Literal["group", "random20"]
"""Who chooses checkpoints: the next fold's groups, or a fifth of the training utterances at random."""
