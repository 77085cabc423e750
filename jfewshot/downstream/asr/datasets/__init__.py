"""Transcribed speech as published: audio files, transcripts, and the published divisions.

| name on the command line | file | division |
|---|---|---|
| `librispeech` | `librispeech` | train-clean-100, dev-clean, test-clean; options choose other parts |
| `timit`, `timit_words` | `timit` | 462 training speakers, 50 development speakers, 24 speakers of the core test set |
| `table:PATH` | `own` | the user's |

- `base`: the classes of a dataset of transcribed speech and of its utterances
"""

from collections.abc import Sequence
from pathlib import Path

from jfewshot.downstream.asr.datasets.base import AsrData, Utterance, check_texts
from jfewshot.downstream.asr.datasets.librispeech import read_librispeech
from jfewshot.downstream.asr.datasets.own import read_table
from jfewshot.downstream.asr.datasets.timit import read_timit
from jfewshot.errors import UserError

__all__ = ["AsrData", "Utterance", "read_dataset"]

NAMES = ("librispeech", "timit", "timit_words", "table:PATH")


def read_dataset(name: str, root: Path, parts: Sequence[Sequence[str]] = ((), (), ())) -> AsrData:
    """Read the utterances of a dataset from a folder with the publisher's layout.

    Args:
      name: name of the dataset, from the table above.
      root: folder of the dataset.
      parts: for LibriSpeech, the parts to train on, to choose checkpoints on and to test on; empty for the usual parts.

    Returns:
      the utterances and how they are divided.

    Raises:
      UserError: an unknown name, or a folder of another layout.
    """
    kind, _, rest = name.partition(":")
    if name not in NAMES and not (kind == "table" and rest):
        raise UserError(f"dataset '{name}' is not known; give {', '.join(NAMES)}")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; --root should be the dataset as published")
    if any(parts) and name != "librispeech":
        raise UserError(f"--train-parts, --dev-parts and --test-parts are LibriSpeech's; {name} has its own division")
    if kind == "table":
        data = read_table(root, Path(rest).expanduser())
    elif name == "librispeech":
        given = dict(zip(("training", "development", "test"), parts, strict=True))
        data = read_librispeech(root, **{what: part for what, part in given.items() if part})
    else:
        data = read_timit(root, "words" if name == "timit_words" else "phones")
    check_texts(data.title, data.utterances)
    return data
