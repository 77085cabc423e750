"""Folds: which utterances train, which choose checkpoints, and which test. Groups (speakers, sessions) are never
divided."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.settings import Development
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.files.tables import read_table

# s3prl's share of the utterances that are left.
_RANDOM_SHARE = 0.2
_MOST_SINGLE_GROUPS = 10


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
        """Names the division in a run's identity."""
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
      assignment: CSV file with the columns group and fold that says what the folds are, instead of `n_folds`.
      development: `group` uses the groups of the next fold, so that no speaker is trained on and chooses. `random20`
        uses a random fifth of the utterances that are not tested, as s3prl does, so that the speakers that choose are
        trained on.
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


def _balanced(
    names: list[str], groups: np.ndarray, n_folds: int, owner: str, groups_are: str, seed: int
) -> dict[str, int]:
    if not 2 <= n_folds <= len(names):
        raise UserError(f"--n-folds {n_folds}: {owner} {len(names)} {groups_are}s; give 2 to {len(names)}")
    if n_folds == len(names):
        return {name: number for number, name in enumerate(names)}
    # In an order that the seed draws, each to the fold with the fewest utterances so far.
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
            f"{path}: fold {fold_of[unknown[0]]} has the {groups_are} '{unknown[0]}', who says nothing in {title}; "
            f"there are {', '.join(names[:12])}"
        )
    forgotten = sorted(set(names) - set(fold_of))
    if forgotten:
        raise UserError(f"{path} puts the {groups_are} '{forgotten[0]}' of {title} in no fold; add a line")
    return fold_of
