"""What the records say: scores of each kind of features, with intervals, and differences from the controls."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.emotion.scores import accuracy, by_speaker, difference, jackknife, mean_accuracy, mean_uar, uar

CONTROLS = ("fbank", "random")


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """One kind of features over all folds and seeds.

    Attributes:
      name, kind: of the features.
      seeds: which have all folds.
      speakers: whom intervals are over.
      counts: confusions, seeds x speakers x true x predicted; every utterance is tested once per seed.
      folds: UAR and accuracy of each fold, (seeds, folds).
    """

    name: str
    kind: str
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    counts: Int[np.ndarray, "seeds speakers true predicted"]
    fold_uar: np.ndarray
    fold_accuracy: np.ndarray

    def uar(self) -> tuple[float, float]:
        """Mean over seeds of the pooled UAR, and its 95% half-width over speakers."""
        return jackknife(self.counts, mean_uar)

    def accuracy(self) -> tuple[float, float]:
        """Likewise, accuracy."""
        return jackknife(self.counts, mean_accuracy)

    def over_seeds(self) -> float:
        """Standard deviation over seeds of the pooled UAR (ddof 1); NaN for one seed."""
        values = [uar(each) for each in self.counts.sum(axis=1)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")

    def seed_range(self) -> tuple[float, float]:
        """Lowest and highest pooled UAR over seeds."""
        values = [uar(each) for each in self.counts.sum(axis=1)]
        return min(values), max(values)

    def less(self, other: "Summary") -> tuple[float, float]:
        """Difference of the mean UARs, and its 95% half-width over speakers, paired by speaker."""
        seeds = [seed for seed in self.seeds if seed in other.seeds]
        mine = self.counts[[self.seeds.index(seed) for seed in seeds]]
        theirs = other.counts[[other.seeds.index(seed) for seed in seeds]]
        return jackknife(np.stack([mine, theirs]), difference)


def summarise(records: Sequence[dict[str, Any]]) -> tuple[list[Summary], list[str]]:
    """A summary for each kind of features that has all folds of at least one seed; controls first, then by UAR.

    Returns:
      the summaries, and a sentence for everything that is incomplete.
    """
    problems, found = [], []
    for name in dict.fromkeys(record["features"] for record in records):
        mine = [record for record in records if record["features"] == name]
        n_folds = mine[0]["fold"]["of"]
        seeds = sorted({record["seed"] for record in mine})
        whole = [seed for seed in seeds if sum(record["seed"] == seed for record in mine) == n_folds]
        if len(whole) < len(seeds):
            problems.append(f"{name}: {len(seeds) - len(whole)} of {len(seeds)} seeds have not run all folds yet")
        if whole:
            found.append(_summary(name, [record for record in mine if record["seed"] in whole], whole, n_folds))
    controls = [each for kind in CONTROLS for each in found if each.kind == kind]
    others = sorted((each for each in found if each.kind not in CONTROLS), key=lambda each: -each.uar()[0])
    return controls + others, problems


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
    return Summary(name, records[0]["kind"], tuple(seeds), tuple(speakers), counts, fold_uar, fold_accuracy)
