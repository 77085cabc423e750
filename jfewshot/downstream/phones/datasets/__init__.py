"""Speech with labelled phones: audio files, phones with their times, and the published divisions.

| name on the command line | file | division |
|---|---|---|
| `timit` | `timit` | 462 training speakers, 50 development speakers, 24 speakers of the core test set |
| `table:PATH` | `own` | the user's |
| `--dirha` | `dirha` | only tested, in addition to TIMIT |

- `base`: the classes of a dataset with labelled phones and of its utterances
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
