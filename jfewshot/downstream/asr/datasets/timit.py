"""TIMIT as transcribed speech: the labels of each sentence as one transcript of phones or of words.

`jfewshot.downstream.timit` finds the sentences and divides them.
"""

from pathlib import Path
from typing import Literal

from jfewshot.downstream.asr.datasets.base import AsrData, Utterance
from jfewshot.downstream.timit import PARTS, check_counts, timit_recordings
from jfewshot.downstream.timit_phones import PHONES_61, fold_to_48
from jfewshot.errors import UserError


def read_timit(root: Path, say: Literal["phones", "words"] = "phones", counts_checked: bool = True) -> AsrData:
    """Read the SI and SX sentences of TIMIT, transcribed as 48 phones or as words.

    Args:
      root: the folder with TRAIN and TEST, or the folder that contains it.
      say: whether a transcript consists of phones or words.
      counts_checked: refuse a copy whose numbers of utterances differ from the published numbers.

    Returns:
      the utterances, divided as published.

    Raises:
      UserError: audio without labels, a phone that is none of the 61, or other numbers of utterances than published.
    """
    found = []
    for each in timit_recordings(root):
        text = _labels(each.labels(".phn" if say == "phones" else ".wrd"), say)
        found.append(Utterance(each.name, each.path, text, each.speaker, each.part))
    if counts_checked:
        check_counts(root, [each.part for each in found])
    return AsrData("timit", f"TIMIT, {say}", tuple(found), PARTS)


def _labels(path: Path, say: str) -> str:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not rows or any(len(row) != 3 for row in rows):
        raise UserError(f"{path} should have lines of first sample, last sample and label; copy it again")
    labels = [row[2].lower() for row in rows]
    if say == "words":
        return " ".join(labels)
    unknown = sorted(set(labels) - PHONES_61)
    if unknown:
        raise UserError(f"{path} has '{unknown[0]}', which is none of TIMIT's 61 phones; copy it again")
    return " ".join(fold_to_48(labels))
