"""A dataset of speech with labelled phones, and one such utterance."""

import dataclasses
from pathlib import Path

from jfewshot.audio import Stretch
from jfewshot.downstream.dataset import Dataset
from jfewshot.downstream.folds import UNDIVIDED, Fold, Parts, divide
from jfewshot.downstream.phones.phone_sets import PhoneSet
from jfewshot.downstream.phones.segments import Segments
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json


@dataclasses.dataclass(frozen=True, eq=False)
class Utterance:
    """One utterance with its labelled phones.

    Attributes:
      name: its path below the dataset's folder, with forward slashes.
      audio: its audio file, or a stretch of one.
      speaker: its speaker; empty if unknown.
      part: which part of the given division it belongs to; empty without a division.
      segments: its phones, with times from the beginning of the audio.
    """

    name: str
    audio: Path | Stretch
    speaker: str
    part: str
    segments: Segments


@dataclasses.dataclass(frozen=True, eq=False)
class PhoneData(Dataset):
    """A dataset of speech with labelled phones.

    Attributes:
      utterances: the utterances, in the order of their names.
      phones: the classes.
      parts: the division of the publisher or the user, if there is one.
    """

    utterances: tuple[Utterance, ...]
    phones: PhoneSet
    parts: Parts = UNDIVIDED

    @property
    def digest(self) -> str:
        """SHA-256 of which utterances there are, who speaks, how they are divided, and every phone with its times."""
        return sha256_of_json(
            [[each.name, each.speaker, each.part, each.segments.as_lists()] for each in self.utterances]
        )

    def with_test(self, utterances: tuple[Utterance, ...], part: str) -> "PhoneData":
        """The dataset with further utterances that are only tested, as a part of their own."""
        parts = dataclasses.replace(self.parts, test=(*self.parts.test, part))
        return dataclasses.replace(self, utterances=(*self.utterances, *utterances), parts=parts)

    def folds(self, n_folds: int | None, assignment: Path | None) -> list[Fold]:
        """Divide the utterances as `divide` does.

        Args:
          n_folds: number of folds of a division by speakers; None as in `group_folds`.
          assignment: CSV file that says which speaker belongs to which fold; None for none.

        Returns:
          the folds; one fold for a given or a random division.

        Raises:
          UserError: a part without utterances, speakers that cannot be divided so, or a division of TIMIT other than published
            together with further test utterances.
        """
        if self.parts.training and len(self.parts.test) > 1 and (n_folds is not None or assignment is not None):
            raise UserError("--n-folds and --folds divide one dataset: leave them out, or leave out --dirha")
        return divide(self.utterances, self.title, self.parts, n_folds, assignment)
