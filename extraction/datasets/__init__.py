"""Datasets behind one small interface (`base.Dataset`): the table of contents, by the names that users write.

Each value is `module:factory`, imported when it is asked for; a factory takes nothing and gives a `Dataset`.
"""

import difflib
import importlib

from extraction.datasets.base import Dataset
from jfewshot.errors import UserError

DATASETS: dict[str, str] = {
    # Small ones that the sample stores are made of
    "esc10": "extraction.datasets.esc:esc10",
    "fsdd_digits": "extraction.datasets.fsdd:fsdd_digits",
    "fsdd_speakers": "extraction.datasets.fsdd:fsdd_speakers",
    "arabic_commands": "extraction.datasets.speech_commands:arabic_commands",
}


def load_dataset(name: str) -> Dataset:
    """The dataset of that name.

    Raises:
      UserError: for an unknown name, with the nearest ones.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"unknown dataset '{name}': {hint}there are {', '.join(DATASETS)}")
    module_name, _, attribute = DATASETS[name].partition(":")
    return getattr(importlib.import_module(module_name), attribute)()
