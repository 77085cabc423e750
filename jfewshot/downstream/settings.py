"""What users may choose about any experiment; loads neither JAX nor NumPy, so `--help` is quick."""

from collections.abc import Sequence
from typing import Literal

from jfewshot.errors import UserError

Development = Literal["group", "random20"]
"""Who chooses checkpoints: the next fold's groups, or a fifth of the training utterances at random."""


def first_encoder(features: Sequence[str]) -> str | None:
    """The folder of the first `simclr:FOLDER` among the features: random controls have its shape. None where there is none."""
    return next((text.partition(":")[2] for text in features if text.startswith("simclr:")), None)


def refuse_equal_names(names: Sequence[str]) -> None:
    """Refuse two features of one name, since tables and records could not tell these apart.

    Raises:
      UserError: naming the first name that is there twice.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"two features are called '{twice}'; export one of them under another --name")
