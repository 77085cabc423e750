"""Folds: which utterances train, which choose checkpoints, and which test. Groups (speakers, sessions) are never
divided."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.settings import Development
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.files.tables import read_table

# As in s3prl: share of the utterances outside the test fold.
_RANDOM_SHARE = 0.2
# Shares of a dataset that has no published division and no known speakers.
_DEVELOPMENT_SHARE = _TEST_SHARE = 0.1
_MOST_SINGLE_GROUPS = 10


@runtime_checkable
class Divisible(Protocol):
    """An utterance as `divide` uses it.

    Attributes:
      name: name of the utterance, for messages.
      speaker: empty if unknown.
      part: which part of a given division it belongs to; empty where there is none.
    """

    @property
    def name(self) -> str: ...

    @property
    def speaker(self) -> str: ...

    @property
    def part(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Parts:
    """A division that the publisher or the user of a dataset gives, by the names of its parts; all empty for none.

    Attributes:
      training: parts to train on.
      development: parts that choose checkpoints.
      test: parts to test on.
    """

    training: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


UNDIVIDED = Parts()


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """One division of the utterances into training, development and test.

    Attributes:
      name: the groups that are tested.
      training, development, test: numbers of utterances, ascending.
    """

    name: str
    training: Int[np.ndarray, " n_training"]
    development: Int[np.ndarray, " n_development"]
    test: Int[np.ndarray, " n_test"]

    def sizes(self) -> dict[str, int]:
        """How many utterances each part has."""
        return {part: len(getattr(self, part)) for part in ("training", "development", "test")}

    def digest(self) -> str:
        """SHA-256 of the division, a part of the identity of a run."""
        return sha256_of_json([part.tolist() for part in (self.training, self.development, self.test)])


def group_folds(
    groups: Sequence[str],
    title: str,
    groups_are: str = "speaker",
    n_folds: int | None = None,
    assignment: Path | None = None,
    development: Development = "group",
    seed: int = 0,
) -> list[Fold]:
    """Divide utterances into folds by groups; every utterance is tested once.

    Args:
      groups: group (speaker, session) of each utterance.
      title: title of the dataset, for messages.
      groups_are: what a group is: `session` or `speaker`.
      n_folds: number of folds; None for one per group where there are at most 10 groups, or else 5.
      assignment: CSV file with the columns group and fold, which gives the folds instead of `n_folds`.
      development: which utterances choose checkpoints. `group`: the groups of the next fold, so that these speakers are not
        trained on. `random20`: a random fifth of the utterances that are not tested, as in s3prl, so that these speakers are
        trained on too.
      seed: seed of random choices.

    Returns:
      the folds, in the order of their first groups.

    Raises:
      UserError: if there are too few groups, a group is in no fold or unknown, or a fold has no utterances to choose
        checkpoints by.
    """
    of = np.array(groups)
    names = sorted(set(groups))
    if assignment is not None:
        fold_of: dict[str, Any] = _read_assignment(assignment, names, title, groups_are)
    else:
        usual = len(names) if len(names) <= _MOST_SINGLE_GROUPS else 5
        fold_of = _balanced(names, of, usual if n_folds is None else n_folds, f"{title} has", groups_are, seed)
    order = list(dict.fromkeys(fold_of[name] for name in names))
    least = 3 if development == "group" else 2
    if len(order) < least:
        raise UserError(f"{len(order)} folds of {title}: at least {least} are needed to train, choose and test")
    numbers = np.array([order.index(fold_of[group]) for group in groups])
    folds = []
    for number in range(len(order)):
        rest = np.flatnonzero(numbers != number)
        if development == "group":
            chooses = rest[numbers[rest] == (number + 1) % len(order)]
        else:
            drawn = np.random.default_rng([seed, 5, number]).permutation(rest)
            chooses = np.sort(drawn[: round(_RANDOM_SHARE * len(rest))])
        tested = sorted(name for name in names if fold_of[name] == order[number])
        name = ", ".join(tested) if len(tested) <= 3 else f"{len(tested)} {groups_are}s, {tested[0]} ..."
        if not len(chooses):
            raise UserError(f"the fold that tests {name} has no utterances to choose checkpoints by: give other folds")
        folds.append(Fold(name, np.setdiff1d(rest, chooses), chooses, np.flatnonzero(numbers == number)))
    return folds


def divide(
    utterances: Sequence[Divisible],
    title: str,
    parts: Parts,
    n_folds: int | None,
    assignment: Path | None,
    seed: int = 0,
) -> list[Fold]:
    """Divide utterances by their parts, or else by speakers, or else at random where fewer than three speakers are named.

    Args:
      utterances: utterances of a dataset.
      title: title of the dataset, for messages.
      parts: the given division, which `n_folds` and `assignment` overrule.
      n_folds: number of folds of a division by speakers; None as in `group_folds`.
      assignment: CSV file that says which speaker belongs to which fold; None for none.
      seed: seed of a random division.

    Returns:
      the folds; one fold for a given or a random division.

    Raises:
      UserError: a part without utterances, or speakers that cannot be divided so.
    """
    if parts.training and assignment is None and n_folds is None:
        return [_by_parts([each.part for each in utterances], title, parts)]
    speakers = [each.speaker for each in utterances]
    if assignment is not None or n_folds is not None or len(set(speakers)) >= 3:
        if "" in speakers:
            name = utterances[speakers.index("")].name
            raise UserError(f"{name} has no speaker, so {title} cannot be divided by speakers: name one")
        return group_folds(speakers, title, "speaker", n_folds, assignment, seed=seed)
    return [_at_random(len(utterances), title, seed)]


def _by_parts(part_of: Sequence[str], title: str, parts: Parts) -> Fold:
    part = np.array(part_of)
    numbers = []
    for names in (parts.training, parts.development, parts.test):
        chosen = np.flatnonzero(np.isin(part, names))
        if not len(chosen):
            there = collections.Counter(part.tolist())
            raise UserError(f"{title} has no utterance of {', '.join(names)}; it has {', '.join(there)}")
        numbers.append(chosen)
    return Fold(", ".join(parts.test), *numbers)


def _at_random(n: int, title: str, seed: int) -> Fold:
    n_test, n_development = round(_TEST_SHARE * n), round(_DEVELOPMENT_SHARE * n)
    if min(n_test, n_development) < 1:
        raise UserError(f"{title} has {n} utterances: too few to train, choose and test; give at least 10")
    order = np.random.default_rng([seed, 7]).permutation(n)
    test, development = order[:n_test], order[n_test : n_test + n_development]
    training = np.setdiff1d(np.arange(n), order[: n_test + n_development])
    return Fold("a tenth at random", training, np.sort(development), np.sort(test))


def _balanced(
    names: list[str], groups: np.ndarray, n_folds: int, owner: str, groups_are: str, seed: int
) -> dict[str, int]:
    if not 2 <= n_folds <= len(names):
        raise UserError(f"--n-folds {n_folds}: {owner} {len(names)} {groups_are}s; give 2 to {len(names)}")
    if n_folds == len(names):
        return {name: number for number, name in enumerate(names)}
    # Groups come in a random order; each joins the fold that has the fewest utterances so far.
    sizes, fold_of = np.zeros(n_folds, int), {}
    for name in np.random.default_rng([seed, 6]).permutation(names).tolist():
        fold_of[name] = int(np.argmin(sizes))
        sizes[fold_of[name]] += int(np.sum(groups == name))
    return fold_of


def _read_assignment(path: Path, names: Sequence[str], title: str, groups_are: str) -> dict[str, str]:
    rows = read_table(path, ("group", "fold"), f"give a CSV with the columns group and fold, a line per {groups_are}")
    fold_of = {row["group"]: row["fold"] for row in rows}
    unknown = sorted(set(fold_of) - set(names))
    if unknown:
        raise UserError(
            f"{path}: fold {fold_of[unknown[0]]} has the {groups_are} '{unknown[0]}', of which {title} has no utterance; "
            f"there are {', '.join(names[:12])}"
        )
    forgotten = sorted(set(names) - set(fold_of))
    if forgotten:
        raise UserError(f"{path} puts the {groups_are} '{forgotten[0]}' of {title} in no fold; add a line")
    return fold_of
