"""Folds of whole speakers or sessions. The training utterances of each fold must have every emotion."""

from pathlib import Path

import numpy as np

from jfewshot.downstream.emotion.datasets import EmotionData
from jfewshot.downstream.folds import Fold, group_folds
from jfewshot.downstream.settings import Development
from jfewshot.errors import UserError


def make_folds(
    data: EmotionData,
    n_folds: int | None = None,
    assignment: Path | None = None,
    development: Development = "group",
    seed: int = 0,
) -> list[Fold]:
    """Divide the utterances into folds; every utterance is tested once.

    Args:
      data: the utterances.
      n_folds: number of folds; None for the dataset's usual number, or else one per group where there are at most 10
        groups, or else 5.
      assignment: CSV file that says which group belongs to which fold; None for none.
      development: which utterances choose checkpoints, as in `group_folds`.
      seed: seed of random choices.

    Returns:
      the folds.

    Raises:
      UserError: as in `group_folds`, or if a fold has no training utterances of a class.
    """
    groups = [each.group for each in data.utterances]
    usual = data.n_folds if n_folds is None else n_folds
    folds = group_folds(groups, data.title, data.groups_are, usual, assignment, development, seed)
    labels = np.array([each.label for each in data.utterances])
    for fold in folds:
        missing = sorted(set(data.classes) - set(labels[fold.training].tolist()))
        if missing:
            raise UserError(
                f"the fold that tests {fold.name} has no '{missing[0]}' to train on: "
                "give other --n-folds, or leave that class out"
            )
    return folds
