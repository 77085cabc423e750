"""Summaries of the records: scores of each kind of features with intervals, and differences from the controls."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.confusions import (
    accuracy,
    by_speaker,
    difference,
    half_width,
    jackknife,
    mean_accuracy,
    mean_uar,
    uar,
)
from jfewshot.downstream.records import whole_seeds
from jfewshot.downstream.summaries import Difference, controls_first, mean_curves, paired_difference


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The scores of one kind of features over all folds and seeds.

    Attributes:
      name, kind: name and kind of the features.
      seeds: seeds that have all folds.
      speakers: speakers of the test utterances, over whom intervals are computed.
      counts: confusions, seeds x speakers x true x predicted; every utterance is tested once per seed.
      fold_uar, fold_accuracy: scores of each fold, (seeds, folds).
      curve: development UAR and loss after each epoch, mean over folds, (seeds, epochs, 2).
    """

    name: str
    kind: str
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    counts: Int[np.ndarray, "seeds speakers true predicted"]
    fold_uar: np.ndarray
    fold_accuracy: np.ndarray
    curve: np.ndarray

    def uar(self) -> tuple[float, float]:
        """Mean over seeds of the UAR of all folds together, and its 95% half-width over speakers."""
        return jackknife(self.counts, mean_uar)

    def accuracy(self) -> tuple[float, float]:
        """Mean over seeds of the accuracy of all folds together, and its 95% half-width over speakers."""
        return jackknife(self.counts, mean_accuracy)

    @property
    def by_seed(self) -> Float[np.ndarray, " seeds"]:
        """UAR of all folds together, for each seed."""
        return np.array([uar(each) for each in self.counts.sum(axis=1)])

    def over_seeds(self) -> float:
        """95% half-width of the mean UAR over seeds (Student's t); NaN for one seed."""
        return half_width(self.by_seed)

    def less(self, other: "Summary") -> Difference:
        """Difference of the mean UARs, paired by speaker and by seed."""
        return paired_difference((self.seeds, self.counts), (other.seeds, other.counts), difference, uar)


def summarise(records: Sequence[dict[str, Any]]) -> tuple[list[Summary], list[str]]:
    """Summarise each kind of features that has all folds of at least one seed; controls first, then by UAR.

    Returns:
      the summaries, and a sentence for everything that is incomplete.
    """
    problems: list[str] = []
    found: list[Summary] = []
    for name in dict.fromkeys(record["features"] for record in records):
        mine = [record for record in records if record["features"] == name]
        n_folds = mine[0]["fold"]["of"]
        mine, whole, incomplete = whole_seeds(mine, name, range(n_folds))
        problems += incomplete
        if whole:
            found.append(_summary(name, mine, whole, n_folds))
    return controls_first(found, lambda each: each.uar()[0]), problems


def _summary(name: str, records: list[dict[str, Any]], seeds: list[int], n_folds: int) -> Summary:
    n_classes = len(records[0]["classes"])
    speakers = sorted({speaker for record in records for speaker in record["test"]["speakers"]})
    counts = np.zeros((len(seeds), len(speakers), n_classes, n_classes), np.int64)
    fold_uar, fold_accuracy = np.full((2, len(seeds), n_folds), np.nan)
    for record in records:
        place, test = seeds.index(record["seed"]), record["test"]
        of_fold = by_speaker(test["true"], test["predicted"], test["speakers"], speakers, n_classes)
        counts[place] += of_fold
        fold_uar[place, record["fold"]["number"]] = uar(of_fold.sum(axis=0))
        fold_accuracy[place, record["fold"]["number"]] = accuracy(of_fold.sum(axis=0))
    curve = mean_curves(records, seeds)
    return Summary(name, records[0]["kind"], tuple(seeds), tuple(speakers), counts, fold_uar, fold_accuracy, curve)
