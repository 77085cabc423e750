"""What a dataset of transcribed speech is."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.downstream.folds import Fold, group_folds
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json

# Shares of a set that nobody has divided and whose speakers are not known.
_DEVELOPMENT_SHARE = _TEST_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One transcribed utterance.

    Attributes:
      name: its path below the dataset's folder, with forward slashes.
      path: the audio file.
      text: what is said; phones are separated by spaces.
      speaker: empty if unknown.
      part: which part of the published division it belongs to; empty where there is none.
    """

    name: str
    path: Path
    text: str
    speaker: str = ""
    part: str = ""


@dataclasses.dataclass(frozen=True)
class AsrData:
    """A dataset.

    Attributes:
      name, title: of the dataset.
      utterances: in the order of their names.
      training, development, test: parts, where the data are divided already.
    """

    name: str
    title: str
    utterances: tuple[Utterance, ...]
    training: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Names which utterances there are, what is said, who speaks, and how they are divided."""
        return sha256_of_json([[each.name, each.text, each.speaker, each.part] for each in self.utterances])

    def without(self, names: set[str]) -> "AsrData":
        """The dataset without some utterances."""
        kept = tuple(each for each in self.utterances if each.name not in names)
        return dataclasses.replace(self, utterances=kept)

    def folds(self, n_folds: int | None, assignment: Path | None, seed: int = 0) -> list[Fold]:
        """Divide the utterances: as published, or else by speakers, or else at random where no speaker is named.

        Args:
          n_folds: number of folds of a division by speakers; None as in `group_folds`.
          assignment: CSV file that says which speaker belongs to which fold; None for none.
          seed: seed of a random division.

        Returns:
          the folds; one fold for a published or a random division.

        Raises:
          UserError: a part without utterances, or speakers that cannot be divided so.
        """
        if self.training and assignment is None and n_folds is None:
            return [self._published()]
        speakers = [each.speaker for each in self.utterances]
        if assignment is not None or n_folds is not None or len(set(speakers)) >= 3:
            if "" in speakers:
                name = self.utterances[speakers.index("")].name
                raise UserError(f"{name} has no speaker, so {self.title} cannot be divided by speakers: name one")
            return group_folds(speakers, self.title, "speaker", n_folds, assignment, seed=seed)
        return [_at_random(len(self.utterances), self.title, seed)]

    def _published(self) -> Fold:
        parts = np.array([each.part for each in self.utterances])
        numbers = []
        for names in (self.training, self.development, self.test):
            chosen = np.flatnonzero(np.isin(parts, names))
            if not len(chosen):
                there = collections.Counter(parts.tolist())
                raise UserError(f"{self.title} has no utterance of {', '.join(names)}; it has {', '.join(there)}")
            numbers.append(chosen)
        return Fold(", ".join(self.test), *numbers)


def _at_random(n: int, title: str, seed: int) -> Fold:
    n_test, n_development = round(_TEST_SHARE * n), round(_DEVELOPMENT_SHARE * n)
    if min(n_test, n_development) < 1:
        raise UserError(f"{title} has {n} utterances: too few to train, choose and test; give at least 10")
    order = np.random.default_rng([seed, 7]).permutation(n)
    test, development = order[:n_test], order[n_test : n_test + n_development]
    training = np.setdiff1d(np.arange(n), order[: n_test + n_development])
    return Fold("a tenth at random", training, np.sort(development), np.sort(test))


def check_texts(title: str, utterances: Sequence[Utterance]) -> None:
    """Every utterance says something.

    Raises:
      UserError: naming the first that does not.
    """
    if not utterances:
        raise UserError(f"{title} has no utterances")
    empty = [each.name for each in utterances if not each.text.strip()]
    if empty:
        raise UserError(
            f"{empty[0]} has an empty transcript ({len(empty)} such utterances in {title}): "
            "write what is said, or take it out"
        )
