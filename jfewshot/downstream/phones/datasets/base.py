"""What a dataset with labelled phones is."""

import dataclasses
from pathlib import Path

from jfewshot.audio import Stretch
from jfewshot.downstream.asr.datasets import base as transcribed
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.phones.phone_sets import PhoneSet
from jfewshot.downstream.phones.segments import Segments
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json


@dataclasses.dataclass(frozen=True, eq=False)
class Utterance:
    """One utterance with its labelled phones.

    Attributes:
      name: its path below the dataset's folder, with forward slashes.
      audio: the file, or a stretch of one.
      speaker: empty if unknown.
      part: which part of the published division it belongs to; empty where there is none.
      segments: the phones with their times, from the beginning of the audio.
    """

    name: str
    audio: Path | Stretch
    speaker: str
    part: str
    segments: Segments


@dataclasses.dataclass(frozen=True, eq=False)
class PhoneData:
    """A dataset.

    Attributes:
      name, title: of the dataset.
      utterances: in the order of their names.
      phones: the classes.
      training, development, test: parts, where the data are divided already.
    """

    name: str
    title: str
    utterances: tuple[Utterance, ...]
    phones: PhoneSet
    training: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Names which utterances there are, who speaks, how they are divided, and every phone with its times."""
        return sha256_of_json(
            [[each.name, each.speaker, each.part, each.segments.as_lists()] for each in self.utterances]
        )

    def without(self, names: set[str]) -> "PhoneData":
        """The dataset without some utterances."""
        kept = tuple(each for each in self.utterances if each.name not in names)
        return dataclasses.replace(self, utterances=kept)

    def with_test(self, utterances: tuple[Utterance, ...], part: str) -> "PhoneData":
        """The dataset with further utterances that are only tested, as a part of their own."""
        return dataclasses.replace(self, utterances=(*self.utterances, *utterances), test=(*self.test, part))

    def folds(self, n_folds: int | None, assignment: Path | None) -> list[Fold]:
        """Divide the utterances: as published, or else by speakers, or else at random where no speaker is named.

        Args:
          n_folds: number of folds of a division by speakers; None as in `group_folds`.
          assignment: CSV file that says which speaker belongs to which fold; None for none.

        Returns:
          the folds; one fold for a published or a random division.

        Raises:
          UserError: a part without utterances, speakers that cannot be divided so, or a division of TIMIT other than published
            together with further test utterances.
        """
        if self.training and len(self.test) > 1 and (n_folds is not None or assignment is not None):
            raise UserError("--n-folds and --folds divide one dataset: leave them out, or leave out --dirha")
        # The division of transcribed speech, which looks at speakers and parts alone.
        same = tuple(transcribed.Utterance(each.name, Path(), "", each.speaker, each.part) for each in self.utterances)
        speech = transcribed.AsrData(self.name, self.title, same, self.training, self.development, self.test)
        return speech.folds(n_folds, assignment)
