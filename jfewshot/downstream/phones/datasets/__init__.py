"""Speech with labelled phones: where the utterances are, which phone is said when, and how they are divided.

| name on the command line | file | division |
|---|---|---|
| `timit` | `timit` | 462 speakers, 50, the core test set's 24 |
| `table:PATH` | `own` | the user's |
| `--dirha` | `dirha` | only tested, beside TIMIT |

- `base`: what a dataset with labelled phones is
"""

from pathlib import Path

from jfewshot.downstream.phones.datasets.base import PhoneData, Utterance
from jfewshot.downstream.phones.datasets.own import read_table
from jfewshot.downstream.phones.datasets.timit import read_timit
from jfewshot.errors import UserError

__all__ = ["PhoneData", "Utterance", "read_dataset"]


def read_dataset(name: str, root: Path) -> PhoneData:
    """Read the utterances of a dataset from a folder with the publisher's layout.

    Raises:
      UserError: an unknown name, or a folder of another layout.
    """
    kind, _, rest = name.partition(":")
    if name != "timit" and not (kind == "table" and rest):
        raise UserError(f"dataset '{name}' is not known; give timit or table:PATH")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; --root should be the dataset as published")
    return read_timit(root) if name == "timit" else read_table(root, Path(rest).expanduser())
