"""A dataset of emotional speech, and one labelled utterance."""

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from jfewshot.downstream.dataset import Dataset
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One labelled utterance.

    Attributes:
      name: its path below the dataset's folder, with forward slashes.
      path: the audio file.
      label: its emotion.
      group: its session or speaker, which a fold must not divide.
      speaker: its speaker, for intervals over speakers; the group if the speaker is unknown.
    """

    name: str
    path: Path
    label: str
    group: str
    speaker: str


@dataclasses.dataclass(frozen=True)
class EmotionData(Dataset):
    """A dataset of emotional speech.

    Attributes:
      utterances: the utterances, in the order of their names.
      groups_are: what a group is: `session` or `speaker`.
      n_folds: usual number of folds; None for one fold per group.
    """

    utterances: tuple[Utterance, ...]
    groups_are: str = "speaker"
    n_folds: int | None = None

    @property
    def classes(self) -> list[str]:
        """The emotions, sorted."""
        return sorted({each.label for each in self.utterances})

    @property
    def digest(self) -> str:
        """SHA-256 of which utterances there are, how they are labelled, and who speaks."""
        return sha256_of_json([[each.name, each.label, each.group, each.speaker] for each in self.utterances])


def check_counts(title: str, utterances: list[Utterance], expected: Mapping[str, int]) -> None:
    """Compare the number of utterances of each class with the published number.

    Args:
      title: title of the dataset, for the message.
      utterances: the utterances found.
      expected: published number of utterances of each class.

    Raises:
      UserError: if a number differs; the message names the first class that differs.
    """
    found = collections.Counter(each.label for each in utterances)
    for label, count in expected.items():
        if found[label] != count:
            raise UserError(
                f"{title} has {found[label]:,} utterances of {label}, as published there are {count:,}: "
                "copy it again, or list what you have in a CSV and give --dataset table:PATH"
            )
