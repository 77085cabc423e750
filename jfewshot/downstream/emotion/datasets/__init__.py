"""Emotional speech as published: audio files, emotions, and the groups that a fold must not divide.

| name on the command line | file | groups |
|---|---|---|
| `iemocap` | `iemocap` | 5 sessions of two speakers |
| `crema_d` | `crema_d` | 91 actors |
| `emodb` | `emodb` | 10 actors |
| `folder:NAME`, `table:PATH` | `own` | the user's |

- `base`: the classes of a dataset of emotional speech and of its utterances
"""

from collections.abc import Callable
from pathlib import Path

from jfewshot.downstream.emotion.datasets.base import EmotionData, Utterance
from jfewshot.downstream.emotion.datasets.crema_d import read_crema_d
from jfewshot.downstream.emotion.datasets.emodb import read_emodb
from jfewshot.downstream.emotion.datasets.iemocap import read_iemocap
from jfewshot.downstream.emotion.datasets.own import read_folder, read_table
from jfewshot.errors import UserError

__all__ = ["EmotionData", "Utterance", "read_dataset"]

PUBLISHED: dict[str, Callable[[Path], EmotionData]] = {
    "iemocap": read_iemocap,
    "iemocap_improvised": lambda root: read_iemocap(root, improvised_only=True),
    "crema_d": read_crema_d,
    "emodb": read_emodb,
}


def read_dataset(name: str, root: Path) -> EmotionData:
    """Read the utterances of a dataset from a folder with the publisher's layout.

    Raises:
      UserError: an unknown name, or a folder of another layout.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return read_folder(root, rest)
    if kind == "table" and rest:
        return read_table(root, Path(rest).expanduser())
    if name not in PUBLISHED:
        raise UserError(f"dataset '{name}' is not known; give {', '.join(PUBLISHED)}, folder:NAME or table:PATH")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; --root should be {name} as published")
    return PUBLISHED[name](root)
