"""Compare classifiers with each other: on the same cells, means, ranks, and a test of each against the best.

A cell is here one upstream (in one view) on one dataset at one number of shots, with one set of drawn episodes. All
other settings of the protocol and the preprocessing are equal within a comparison, which is called its setting.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from jfewshot.files import canonical_json
from jfewshot.printable import counted
from jfewshot.reporting.conditions import (
    ALONG_SHOTS,
    AXES,
    Conditions,
    classifier_words,
    condition_of,
    describe,
    is_transductive,
    order_of,
    shots_of,
    shots_of_title,
    shots_words,
)
from jfewshot.reporting.labels import (
    UpstreamNames,
    dataset_identity,
    dataset_labels,
    distinct,
    upstream_identity,
    upstream_labels,
)
from jfewshot.statistics import holm_of_pairs, rank_within_columns, signed_rank_p

Record = Mapping[str, Any]
_SHOWN = 3  # cells that a note names


@dataclasses.dataclass(frozen=True, eq=False)
class ClassifierRows:
    """Some classifiers on the cells that all of them have, under one setting; accuracies 0-1.

    Attributes:
      title: the setting in words.
      transductive: whether the classifiers are transductive. They are never compared with inductive ones.
      classifiers: names of the rows, highest mean over the cells first.
      records: the record of each classifier on each cell.
      upstreams, datasets: labels of the upstream and of the dataset of each cell.
      shots: support clips per class of each cell; infinite for all labels.
      mean: accuracy of each classifier on each cell.
      average_rank: mean over the cells of the ranks; classifiers with equal printed accuracies share a rank.
      p_value: two-sided p-value of Wilcoxon's signed-rank test over the cells, for every pair; NaN on the diagonal.
      p_holm: the p-value after Holm's correction over all pairs, because the best classifier is known only from these
          results.
      wins_ties_losses: number of cells on which each classifier is better than, not different from, and worse than the
          first one; None if this was not counted.
      n_counted: number of cells of `wins_ties_losses`; the others have too few clips, or predictions that cannot be
          read.
      left_out: a sentence for each reason for which results are not in the comparison.
    """

    title: str
    transductive: bool
    classifiers: tuple[str, ...]
    records: tuple[tuple[Record, ...], ...]
    upstreams: tuple[str, ...]
    datasets: tuple[str, ...]
    shots: tuple[float, ...]
    mean: Float[np.ndarray, "n_classifiers n_cells"]
    average_rank: Float[np.ndarray, " n_classifiers"]
    p_value: Float[np.ndarray, "n_classifiers n_classifiers"]
    p_holm: Float[np.ndarray, "n_classifiers n_classifiers"]
    wins_ties_losses: Integer[np.ndarray, "n_classifiers 3"] | None
    n_counted: int
    left_out: tuple[str, ...]

    @property
    def average(self) -> Float[np.ndarray, " n_classifiers"]:
        """Mean accuracy of each classifier over the cells."""
        return self.mean.mean(axis=1)


def compare_classifiers(records: Sequence[Record]) -> list[ClassifierRows]:
    """Compare the classifiers of some records, one comparison for each setting that has two or more.

    Args:
      records: as `read_results` gives them; of any conditions.

    Returns:
      the comparisons: inductive classifiers before transductive ones, validation splits after others, then the ones
      with the most results first. Empty if no two classifiers have a cell in common.
    """
    names = UpstreamNames(records)
    found: dict[str, _Setting] = {}
    conditions = Conditions()
    known: dict[str, tuple[_Setting, str]] = {}
    for record in records:
        key = conditions.key(record)
        if key not in known:
            condition = condition_of(record)
            own = found.setdefault(_setting_key(condition), _Setting(condition))
            known[key] = own, own.add(condition)
        setting, classifier = known[key]
        setting.records[classifier].setdefault(_cell_of(record), record)
    compared = [rows for setting in found.values() if (rows := _compare(setting, names)) is not None]
    apart = sorted({_short_name(one) for own in found.values() if own.transductive for one in own.conditions.values()})
    if apart:
        note = f"Transductive classifiers are not compared with these: {', '.join(apart)}."
        compared = [
            rows if rows.transductive else dataclasses.replace(rows, left_out=(*rows.left_out, note))
            for rows in compared
        ]
    return sorted(compared, key=_first)


class _Setting:
    """The results of one setting, by classifier and cell."""

    def __init__(self, condition: Mapping[str, Any]):
        self.transductive = is_transductive(condition)
        self.conditions: dict[str, Mapping[str, Any]] = {}
        self.records: dict[str, dict[Hashable, Record]] = {}

    def add(self, condition: Mapping[str, Any]) -> str:
        """The key of a condition's classifier, at its strength and in its version of the arithmetic."""
        key = canonical_json({name: condition.get(name) for name in ("classifier", "strength", "numerics")})
        self.conditions.setdefault(key, condition)
        self.records.setdefault(key, {})
        return key


def _setting_key(condition: Mapping[str, Any]) -> str:
    # The version of the arithmetic belongs to the classifier: some classifiers have versions of their own.
    rest = {k: v for k, v in condition.items() if k not in ("classifier", "strength", "numerics")}
    protocol = {k: v for k, v in condition["protocol"].items() if k not in ("k_shot", *ALONG_SHOTS)}
    return canonical_json({**rest, "protocol": protocol, "transductive": is_transductive(condition)})


def _cell_of(record: Record) -> Hashable:
    identity = record["identity"]
    data = tuple(str(identity.get(name)) for name in AXES)
    upstream = upstream_identity(record), str((record.get("view") or {}).get("name", ""))
    return shots_of(identity["protocol"]), upstream, dataset_identity(record), data, record.get("draws")


def _compare(setting: _Setting, names: UpstreamNames) -> ClassifierRows | None:
    keys = sorted(setting.records, key=lambda key: order_of(setting.conditions[key]))
    cells = list(dict.fromkeys(cell for key in keys for cell in setting.records[key]))
    have = np.array([[cell in setting.records[key] for cell in cells] for key in keys], dtype=bool)
    chosen = _with_common_cells(have)
    if len(chosen) < 2:
        return None
    label = distinct({key: _candidates(setting.conditions[key]) for key in keys})
    shared = have[chosen].all(axis=0)
    own = [[setting.records[keys[row]][cells[place]] for place in np.flatnonzero(shared)] for row in chosen]
    mean = np.array([[record["accuracy"]["mean"] for record in line] for line in own], dtype=np.float64)
    order = np.argsort(-mean.mean(axis=1), kind="stable")
    mean = mean[order]
    ordered = tuple(tuple(own[place]) for place in order)
    p_value = np.full((len(order), len(order)), np.nan)
    for i in range(len(order)):
        for j in range(i):
            p_value[i, j] = p_value[j, i] = signed_rank_p(mean[i] - mean[j])
    every = [next(line[cell] for line in setting.records.values() if cell in line) for cell in cells]
    row_of, upstreams, _ = upstream_labels(every, names)
    column_of, datasets, _ = dataset_labels(every)
    shots = [shots_of(record["identity"]["protocol"]) for record in every]
    places = [
        f"{upstreams[row]} on {datasets[column]}" + ("" if len(set(shots)) == 1 else f"{shots_of_title(n)}")
        for row, column, n in zip(row_of, column_of, shots, strict=True)
    ]
    kept = np.flatnonzero(shared)
    return ClassifierRows(
        title=_title(ordered[0]),
        transductive=setting.transductive,
        classifiers=tuple(label[keys[chosen[place]]] for place in order),
        records=ordered,
        upstreams=tuple(upstreams[row_of[place]] for place in kept),
        datasets=tuple(datasets[column_of[place]] for place in kept),
        shots=tuple(shots[place] for place in kept),
        mean=mean,
        average_rank=rank_within_columns(mean).mean(axis=1),
        p_value=p_value,
        p_holm=holm_of_pairs(p_value),
        wins_ties_losses=None,
        n_counted=0,
        left_out=_left_out([label[key] for key in keys], places, have, chosen),
    )


def _with_common_cells(have: Bool[np.ndarray, "n_classifiers n_cells"]) -> list[int]:
    """The classifiers to compare: all of them if they have a cell in common, else as many as do.

    While there is no common cell, the classifier without which the most cells are common is left out; among equals the
    one with the fewest cells.
    """
    rows = list(range(len(have)))
    while len(rows) > 1 and not have[rows].all(axis=0).any():
        lacking = ~have[rows]
        without_one = (lacking & (lacking.sum(axis=0) == 1)).sum(axis=1)
        rows.pop(max(range(len(rows)), key=lambda place: (without_one[place], lacking[place].sum(), place)))
    return rows


def _left_out(
    names: Sequence[str], places: Sequence[str], have: Bool[np.ndarray, "n_classifiers n_cells"], chosen: Sequence[int]
) -> tuple[str, ...]:
    """Sentences on the cells that not all compared classifiers have, and on classifiers without a common cell."""
    sentences = []
    lacking = ~have[chosen]
    n_left = int((lacking.any(axis=0) & have[chosen].any(axis=0)).sum())
    if n_left:
        parts = []
        for row, own in zip(chosen, lacking & have[chosen].any(axis=0), strict=True):
            if own.any():
                first = [places[place] for place in np.flatnonzero(own)[:_SHOWN]]
                more = f" and {own.sum() - _SHOWN} more" if own.sum() > _SHOWN else ""
                parts.append(f"{names[row]} lacks {own.sum()}: {', '.join(first)}{more}")
        sentences.append(f"Left out: {counted(n_left, 'cell')} that not every classifier has ({'; '.join(parts)}).")
    others = [name for row, name in enumerate(names) if row not in set(chosen)]
    if others:
        sentences.append(f"Not compared, since they have no cell in common with the others: {', '.join(others)}.")
    return tuple(sentences)


def _candidates(condition: Mapping[str, Any]) -> list[str]:
    """Names of a classifier, the shortest first: with its strength, with its other settings, and with its version."""
    full = classifier_words(condition)
    settings = {k: v for k, v in condition["classifier"].items() if k != "source"}
    without_source = classifier_words({**condition, "classifier": settings})
    return [_short_name(condition), without_source, full, f"{full}, arithmetic {condition.get('numerics')}"]


def _short_name(condition: Mapping[str, Any]) -> str:
    """`ridge, alpha = auto`, or `centroid` for a classifier without a strength."""
    of_name = {k: v for k, v in condition["classifier"].items() if k in ("name", "transductive")}
    return classifier_words({**condition, "classifier": of_name})


def _title(records: Sequence[Record]) -> str:
    """The setting in words: the title of a leaderboard without its classifier, and with all numbers of shots."""
    condition = condition_of(records[0])
    left = classifier_words(condition)
    title = " · ".join(part for part in describe(condition).split(" · ") if part != left)
    shots = sorted({shots_of(record["identity"]["protocol"]) for record in records})
    if len(shots) > 1:
        one = shots_of_title(shots_of(condition["protocol"]))
        words = f", {', '.join(map(shots_words, shots[:-1]))} and {shots_words(shots[-1])} shots"
        title = title.replace(one, words, 1)
    return title


def _first(rows: ClassifierRows) -> tuple[Any, ...]:
    split = rows.records[0][0]["identity"]["protocol"].get("split")
    return rows.transductive, split not in (None, "test"), -rows.mean.size, rows.title
