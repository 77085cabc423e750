"""What the summaries of downstream tasks share: the order of the rows, mean learning curves, and paired differences."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.confusions import half_width, jackknife

CONTROLS = ("fbank", "random")
"""Kinds of features that are controls, in the order of their rows."""


@runtime_checkable
class Row(Protocol):
    """A summary that is a row of a table; `kind` is that of its features."""

    @property
    def kind(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference of two scores.

    Attributes:
      value: mean over the seeds that both have.
      over_speakers: 95% half-width over speakers, these seeds (of encoder and head) given.
      over_seeds: 95% half-width over seeds, these speakers given; NaN for one seed.
    """

    value: float
    over_speakers: float
    over_seeds: float

    @property
    def is_shown(self) -> bool:
        """Whether 0 is outside both intervals."""
        return abs(self.value) > self.over_speakers and abs(self.value) > self.over_seeds


def controls_first(summaries: Sequence[R], score: Callable[[R], float]) -> list[R]:
    """The summaries of controls, then all others, highest score first."""
    controls = [each for kind in CONTROLS for each in summaries if each.kind == kind]
    others = [each for each in summaries if each.kind not in CONTROLS]
    return controls + sorted(others, key=lambda each: -score(each))


def mean_curves(records: Sequence[dict[str, Any]], seeds: Sequence[int]) -> Float[np.ndarray, "seeds epochs 2"]:
    """Average the development curves of each seed over its folds.

    Args:
      records: records of one kind of features; `curve` has a line (step, score, loss) for each epoch.
      seeds: the seeds, in the order of the result.

    Returns:
      score and loss of each seed and epoch.
    """
    curves = [[np.array(record["curve"])[:, 1:] for record in records if record["seed"] == seed] for seed in seeds]
    return np.array([np.mean(of_seed, axis=0) for of_seed in curves])


def paired_difference(
    mine: tuple[Sequence[int], Int[np.ndarray, "_ speakers true predicted"]],
    theirs: tuple[Sequence[int], Int[np.ndarray, "_ speakers true predicted"]],
    of_seeds: Callable[[Int[np.ndarray, "two seeds true predicted"]], float],
    of_one: Callable[[Int[np.ndarray, "true predicted"]], float],
) -> Difference:
    """Compute the difference of two kinds of features, paired by speaker and by seed.

    Args:
      mine: seeds, and confusions by seed and speaker.
      theirs: the same of the features that are subtracted; the speakers are the same ones.
      of_seeds: from the confusions of both by seed to the mean difference of their scores.
      of_one: from a confusion matrix to its score.

    Returns:
      the difference over the seeds that both have; NaN if they share no seed.
    """
    seeds = [seed for seed in mine[0] if seed in theirs[0]]
    if not seeds:
        return Difference(float("nan"), float("nan"), float("nan"))
    first, second = (counts[[list(own).index(seed) for seed in seeds]] for own, counts in (mine, theirs))
    value, speakers = jackknife(np.stack([first, second]), of_seeds)
    by_seed = [of_one(one) - of_one(two) for one, two in zip(first.sum(axis=1), second.sum(axis=1), strict=True)]
    return Difference(value, speakers, half_width(np.array(by_seed)))
