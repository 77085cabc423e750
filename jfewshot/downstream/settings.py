"""Options that every experiment has. This module loads neither JAX nor NumPy, so that `--help` is quick."""

from collections.abc import Sequence
from typing import Literal

from jfewshot.errors import UserError

Development = Literal["group", "random20"]
"""Utterances that choose checkpoints: the groups of the next fold, or a random fifth of the training utterances."""


def first_encoder(features: Sequence[str]) -> str | None:
    """The folder of the first `simclr:FOLDER` among the features, which gives random controls their shape; None without one."""
    return next((text.partition(":")[2] for text in features if text.startswith("simclr:")), None)


def refuse_equal_names(names: Sequence[str]) -> None:
    """Refuse two features of one name, since tables and records could not distinguish these.

    Raises:
      UserError: if a name occurs twice; the message gives the first such name.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"two features are called '{twice}'; export one of them under another --name")
