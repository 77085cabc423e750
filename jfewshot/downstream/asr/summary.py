"""Summaries of the records: error rates of each kind of features with intervals, and differences from a baseline."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.asr.scores import interval, resampled_rates
from jfewshot.downstream.records import whole_seeds


@dataclasses.dataclass(frozen=True)
class Row:
    """The features, test part and training data of one line of a table.

    Attributes:
      features, kind: name and kind of the features.
      part: part of the test data; empty if there is only one part.
      train_share: share of the training utterances.
    """

    features: str
    kind: str
    part: str = ""
    train_share: float = 1.0

    @property
    def name(self) -> str:
        """The name of the row in tables."""
        share = "" if self.train_share == 1.0 else f", {100 * self.train_share:g}% of the training data"
        return self.features + share + (f" ({self.part})" if self.part else "")


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The errors of one row.

    Attributes:
      row: the row.
      metric, way: name of the metric (`WER`), and how utterances were decoded (`beam` or `greedy`).
      seeds: seeds that have all folds.
      utterances: names of the test utterances; every one is tested once per seed.
      errors: number of errors for each seed and utterance.
      lengths: length of the reference of each utterance.
      curve: (step, development loss, development error) of every evaluation, mean over seeds and folds.
      fold_rates: error rate of each seed and fold.
    """

    row: Row
    metric: str
    way: str
    seeds: tuple[int, ...]
    utterances: tuple[str, ...]
    errors: Int[np.ndarray, "seeds n"]
    lengths: Int[np.ndarray, " n"]
    curve: Float[np.ndarray, "evaluations 3"]
    fold_rates: dict[str, list[float]]

    @property
    def rates(self) -> Float[np.ndarray, " seeds"]:
        """Error rate of each seed, all folds together."""
        return self.errors.sum(axis=1) / self.lengths.sum()

    @property
    def rate(self) -> float:
        """Mean over seeds of the error rate."""
        return float(self.rates.mean())

    def interval(self) -> tuple[float, float]:
        """95% interval over utterances of the mean over seeds."""
        return interval(resampled_rates(self.errors.mean(axis=0)[None], self.lengths)[0])

    def over_seeds(self) -> float:
        """Standard deviation over seeds (ddof 1); NaN for one seed."""
        return float(np.std(self.rates, ddof=1)) if len(self.seeds) > 1 else float("nan")

    def less(self, other: "Summary") -> "Difference":
        """Difference from another row, paired by utterance and seed."""
        seeds = [seed for seed in self.seeds if seed in other.seeds]
        names = {name: place for place, name in enumerate(other.utterances)}
        mine = [place for place, name in enumerate(self.utterances) if name in names]
        theirs = [names[self.utterances[place]] for place in mine]
        both = np.stack(
            [
                of.errors[[of.seeds.index(seed) for seed in seeds]][:, places]
                for of, places in ((self, mine), (other, theirs))
            ]
        )
        lengths = self.lengths[mine]
        drawn = resampled_rates(both.mean(axis=1), lengths)
        by_seed = (both[0] - both[1]).sum(axis=1) / lengths.sum()
        spread = float(np.std(by_seed, ddof=1)) if len(seeds) > 1 else float("nan")
        return Difference(float(by_seed.mean()), *interval(drawn[0] - drawn[1]), spread, by_seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Difference:
    """A difference of error rates; below zero there are fewer errors.

    Attributes:
      mean: mean over seeds.
      low, high: 95% interval over utterances.
      over_seeds: standard deviation over seeds.
      by_seed: difference of each seed.
    """

    mean: float
    low: float
    high: float
    over_seeds: float
    by_seed: Float[np.ndarray, " seeds"]


def summarise(
    records: Sequence[dict[str, Any]], metric: str | None = None, way: str | None = None
) -> tuple[list[Summary], list[str]]:
    """Summarise each row that has all folds of at least one seed; controls first, then by error rate.

    Args:
      records: records of one experiment.
      metric: name of the metric, such as WER; None for the first metric of the records.
      way: `greedy` or `beam`; None for beam if any record has it.

    Returns:
      the summaries, and a sentence for everything that is incomplete.
    """
    problems: list[str] = []
    found: list[Summary] = []
    way = way or ("beam" if any("beam" in record["errors"] for record in records) else "greedy")
    records = _latest([record for record in records if way in record["errors"]])
    metric = metric or next(iter(records[0]["errors"][way]), "WER") if records else metric
    folds = {record["fold"]["number"] for record in records}
    for features, share in dict.fromkeys((record["features"], record["train_share"]) for record in records):
        mine = [record for record in records if (record["features"], record["train_share"]) == (features, share)]
        mine, whole, incomplete = whole_seeds(mine, features, folds)
        problems += incomplete
        if not whole:
            continue
        parts = list(dict.fromkeys(part for record in mine for part in record["test"]["parts"]))
        for part in parts if len(parts) > 1 else [""]:
            row = Row(features, mine[0]["kind"], part, share)
            found.append(_summary(row, mine, whole, str(metric), way))
    controls = [each for each in found if is_control(each.row)]
    others = sorted((each for each in found if not is_control(each.row)), key=lambda each: each.rate)
    return controls + others, problems


def is_control(row: Row) -> bool:
    """Whether the features are raw FBANK or a random encoder; `random` on the command line gives the latter too."""
    return row.kind in ("fbank", "random") or row.features.split(",")[0] == "random"


def _latest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep one record of each run. If a run was decoded more than once, keep the record with a language model, or else the
    last one."""
    by_run: dict[Any, dict[str, Any]] = {}
    for record in sorted(records, key=lambda each: each["decoding"].get("lm") is not None):
        by_run[record["features"], record["train_share"], record["seed"], record["fold"]["number"]] = record
    return list(by_run.values())


def _summary(row: Row, records: list[dict[str, Any]], seeds: list[int], metric: str, way: str) -> Summary:
    errors: dict[str, dict[int, int]] = {}
    lengths: dict[str, int] = {}
    fold_rates: dict[str, list[float]] = {}
    for record in records:
        counts, test = record["errors"][way][metric], record["test"]
        kept = [place for place, part in enumerate(test["parts"]) if row.part in ("", part)]
        for place in kept:
            name = test["utterances"][place]
            errors.setdefault(name, {})[record["seed"]] = counts["errors"][place]
            lengths[name] = counts["lengths"][place]
        total = sum(counts["errors"][place] for place in kept) / sum(counts["lengths"][place] for place in kept)
        fold_rates.setdefault(record["fold"]["tests"], []).append(total)
    names = tuple(sorted(name for name in errors if len(errors[name]) == len(seeds)))
    return Summary(
        row,
        metric,
        way,
        tuple(seeds),
        names,
        np.array([[errors[name][seed] for name in names] for seed in seeds]),
        np.array([lengths[name] for name in names]),
        _mean_curve([np.array(record["curve"], float).reshape(-1, 3) for record in records]),
        fold_rates,
    )


def _mean_curve(curves: list[np.ndarray]) -> np.ndarray:
    """Average curves evaluation by evaluation, because folds differ slightly in their numbers of steps."""
    size = min(len(curve) for curve in curves)
    return np.mean([curve[:size] for curve in curves], axis=0)
