"""Curves over shots for programs: accuracies with their intervals, rank agreement, changes of order, labels needed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jfewshot.reporting.along_curve import Places, ranking_along
from jfewshot.reporting.labels_needed import needed_labels
from jfewshot.reporting.series import AVERAGE, Series, shots_of

_INTERVALS = ("ci95", "pool_ci95", "pool_ci95_classes_fixed")


def curves_json(every: Sequence[Series], places: Sequence[Places]) -> str:
    """All findings of the report along the curves over shots, as JSON.

    Args:
      every: all series; those with a single number of shots are left out.
      places: changes of places along the first series, from `along_curve.places_along`.

    Returns:
      accuracies 0-1 in full precision; unknown values are null.
    """
    found = [_series(series) for series in every if len(series.boards) > 1]
    if found and len(every[0].boards) > 1:
        found[0]["crossovers"] = [entry for one in places for entry in _crossovers(one)]
    return json.dumps({"series": found}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _series(series: Series) -> dict[str, Any]:
    curves: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for board in series.boards:
        for (row, column), record in sorted(board.cells.items()):
            accuracy = record["accuracy"]
            point = {"shots": _shots(shots_of(board)), "mean": accuracy["mean"]}
            if np.isinf(shots_of(board)):
                point["labels_per_class"] = (record.get("counts") or {}).get("labels_per_class")
            point |= {name: accuracy.get(name) for name in _INTERVALS}
            point["key"] = record["key"]
            curves.setdefault(board.datasets[column], {}).setdefault(board.upstreams[row], []).append(point)
    ranking = ranking_along(series)
    agreement: list[Mapping[str, Any]] = []
    for shots, one in ({} if ranking is None else ranking.agreements).items():
        assert ranking is not None
        for place, name in enumerate([*ranking.datasets, AVERAGE]):
            values = {key: _or_none(getattr(one, key)[place]) for key in ("coefficient", "low", "high")}
            pair = {"shots": _shots(shots), "and": _shots(ranking.most)}
            agreement.append({**pair, "dataset": name, "encoders": one.n_systems, "spearman": values})
    return {
        "condition": series.main.condition,
        "shots": [_shots(one) for one in series.shots],
        "curves": curves,
        "rank_agreement": agreement,
        "labels_needed": [entry for name in series.main.upstreams for entry in _needed(series, name)],
    }


def _needed(series: Series, name: str) -> list[dict[str, Any]]:
    several = len(series.main.datasets) > 1
    entries = []
    for dataset in (*series.main.datasets, *((None,) if several else ())):
        for one in needed_labels(series, name, dataset):
            entries.append({"upstream": name, "dataset": AVERAGE if dataset is None else dataset, **one._asdict()})
    return entries


def _crossovers(one: Places) -> list[dict[str, Any]]:
    entries = []
    for item in one.crossovers:
        early, late = item.surest
        entries.append(
            {
                "dataset": one.where,
                "leads_first": one.upstreams[item.first],
                "leads_later": one.upstreams[item.second],
                "between": [_shots(one.shots[place]) for place in item.between],
                "first_lead": _lead(one, early, item.first, item.second),
                "later_lead": _lead(one, late, item.second, item.first),
                "p_holm": _or_none(item.p_holm),
            }
        )
    return entries


def _lead(one: Places, point: int, row: int, column: int) -> dict[str, Any]:
    difference = one.differences[point]
    return {
        "shots": _shots(one.shots[point]),
        "difference": float(difference.difference[row, column]),
        "half_width": _or_none(difference.half_width[row, column]),
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _shots(shots: float) -> int | str:
    """A number, or "all"."""
    return "all" if np.isinf(shots) else int(shots)
