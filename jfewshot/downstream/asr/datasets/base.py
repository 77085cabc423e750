"""A dataset of transcribed speech, and one transcribed utterance."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jfewshot.downstream.dataset import Dataset
from jfewshot.downstream.folds import UNDIVIDED, Fold, Parts, divide
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One transcribed utterance.

    Attributes:
      name: its path below the dataset's folder, with forward slashes.
      path: the audio file.
      text: its transcript; phones are separated by spaces.
      speaker: its speaker; empty if unknown.
      part: which part of the given division it belongs to; empty without a division.
    """

    name: str
    path: Path
    text: str
    speaker: str = ""
    part: str = ""


@dataclasses.dataclass(frozen=True)
class AsrData(Dataset):
    """A dataset of transcribed speech.

    Attributes:
      utterances: the utterances, in the order of their names.
      parts: the division of the publisher or the user, if there is one.
    """

    utterances: tuple[Utterance, ...]
    parts: Parts = UNDIVIDED

    @property
    def digest(self) -> str:
        """SHA-256 of which utterances there are, what is said, who speaks, and how they are divided."""
        return sha256_of_json([[each.name, each.text, each.speaker, each.part] for each in self.utterances])

    def folds(self, n_folds: int | None, assignment: Path | None) -> list[Fold]:
        """Divide the utterances as `divide` does.

        Args:
          n_folds: number of folds of a division by speakers; None as in `group_folds`.
          assignment: CSV file that says which speaker belongs to which fold; None for none.

        Returns:
          the folds; one fold for a given or a random division.

        Raises:
          UserError: a part without utterances, or speakers that cannot be divided so.
        """
        return divide(self.utterances, self.title, self.parts, n_folds, assignment)


def check_texts(title: str, utterances: Sequence[Utterance]) -> None:
    """Refuse a dataset without utterances, or with an empty transcript.

    Raises:
      UserError: if there are such; the message gives the first utterance with an empty transcript.
    """
    if not utterances:
        raise UserError(f"{title} has no utterances")
    empty = [each.name for each in utterances if not each.text.strip()]
    if empty:
        raise UserError(
            f"{empty[0]} has an empty transcript ({len(empty)} such utterances in {title}): "
            "write what is said, or take it out"
        )
