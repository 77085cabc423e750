"""Summaries of the records: frame accuracies of each kind of features with intervals, and differences from the controls."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.confusions import by_speaker, half_width, jackknife
from jfewshot.downstream.phones.phone_sets import SILENCE
from jfewshot.downstream.records import whole_seeds
from jfewshot.downstream.summaries import Difference, controls_first, mean_curves, paired_difference


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The scores of one kind of features with one probe, over all folds and seeds.

    Attributes:
      name, kind, probe: name and kind of the features, and the classifier on top.
      seeds: seeds that have all folds.
      speakers: speakers of each test set, over whom intervals are computed.
      counts: for each test set, confusions of scored phones: seeds x speakers x true x predicted.
      silent: numbers of the scored phones that are not speech.
      curve: development accuracy and loss after each epoch, mean over folds, (seeds, epochs, 2).
    """

    name: str
    kind: str
    probe: str
    seeds: tuple[int, ...]
    speakers: Mapping[str, tuple[str, ...]]
    counts: Mapping[str, Int[np.ndarray, "seeds _ true predicted"]]
    silent: tuple[int, ...]
    curve: Float[np.ndarray, "seeds epochs 2"]

    @property
    def title(self) -> str:
        """Name of the features and of the probe."""
        return f"{self.name}, {self.probe}"

    def accuracy(self, test: str, speech_only: bool = False) -> tuple[float, float]:
        """Mean over seeds of the frame accuracy of a test set, and its 95% half-width over speakers.

        With `speech_only`, frames whose true phone is silence are left out.
        """
        left_out = self.silent if speech_only else ()
        return jackknife(
            self.counts[test], lambda counts: float(np.mean([accuracy(each, left_out) for each in counts]))
        )

    def by_seed(self, test: str) -> Float[np.ndarray, " seeds"]:
        """Frame accuracy of each seed."""
        return np.array([accuracy(each) for each in self.counts[test].sum(axis=1)])

    def over_seeds(self, test: str) -> float:
        """95% half-width of the mean over seeds (Student's t); NaN for one seed."""
        return half_width(self.by_seed(test))

    def less(self, other: "Summary", test: str) -> Difference:
        """Difference of the mean accuracies, paired by speaker and by seed."""

        def difference(counts: Int[np.ndarray, "two seeds true predicted"]) -> float:
            return float(np.mean([accuracy(one) - accuracy(two) for one, two in zip(*counts, strict=True)]))

        both = (self.seeds, self.counts[test]), (other.seeds, other.counts[test])
        return paired_difference(*both, difference, accuracy)


def accuracy(counts: Int[np.ndarray, "true predicted"], left_out: Sequence[int] = ()) -> float:
    """Share of correctly classified frames, without frames whose true phone is left out; NaN if no frames remain."""
    kept = np.setdiff1d(np.arange(len(counts)), np.asarray(left_out, int))
    total = counts[kept].sum()
    return float(np.diag(counts)[kept].sum() / total) if total else float("nan")


def summarise(records: Sequence[dict[str, Any]]) -> tuple[list[Summary], list[str]]:
    """Summarise each kind of features and probe that has all folds of at least one seed.

    Returns:
      the summaries, probe by probe, controls first and then by accuracy on the first test set; and a sentence for everything
      that is incomplete.
    """
    problems: list[str] = []
    found: list[Summary] = []
    for name, probe in dict.fromkeys((record["features"], record["probe"]) for record in records):
        mine = [record for record in records if (record["features"], record["probe"]) == (name, probe)]
        mine, whole, incomplete = whole_seeds(mine, f"{name}, {probe}", range(mine[0]["fold"]["of"]))
        problems += incomplete
        if whole:
            found.append(_summary(name, probe, mine, whole))
    ordered = []
    for probe in ("linear", "hidden"):
        of_probe = [each for each in found if each.probe == probe]
        ordered += controls_first(of_probe, lambda each: each.accuracy(sets_tested(found)[0])[0])
    return ordered, problems


def sets_tested(summaries: Sequence[Summary]) -> list[str]:
    """Names of the test sets."""
    return list(summaries[0].counts)


def _summary(name: str, probe: str, records: list[dict[str, Any]], seeds: list[int]) -> Summary:
    phones = records[0]["phones"]
    number = {phone: phones["folded"][place] for place, phone in enumerate(phones["trained"])}
    n_scored = len(phones["scored"])
    tests = dict.fromkeys(part for record in records for part in record["test"]["parts"])
    speakers = {
        part: tuple(sorted({speaker for record in records for speaker in _speakers(record, part)})) for part in tests
    }
    counts = {part: np.zeros((len(seeds), len(of), n_scored, n_scored), np.int64) for part, of in speakers.items()}
    for record in records:
        test = record["test"]
        for part, of in speakers.items():
            true, predicted, said_by = [], [], []
            for row in range(len(test["parts"])):
                if test["parts"][row] != part:
                    continue
                both = zip(test["true"][row].split(), test["predicted"][row].split(), strict=True)
                labelled = [(number[one], number[two]) for one, two in both if one in number]
                true += [one for one, _ in labelled]
                predicted += [two for _, two in labelled]
                said_by += [test["speakers"][row]] * len(labelled)
            if not true:
                continue
            place = seeds.index(record["seed"])
            counts[part][place] += by_speaker(true, predicted, said_by, of, n_scored)
    silent = tuple(place for place, phone in enumerate(phones["scored"]) if phone in SILENCE)
    curve = mean_curves(records, seeds)
    return Summary(name, records[0]["kind"], probe, tuple(seeds), speakers, counts, silent, curve)


def _speakers(record: dict[str, Any], part: str) -> list[str]:
    test = record["test"]
    return [speaker for speaker, own in zip(test["speakers"], test["parts"], strict=True) if own == part]
