"""Upstreams x datasets from result records: cells with intervals, averages, ranks, best and second best."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jfewshot.errors import UserError
from jfewshot.reporting.conditions import Conditions, condition_of, describe, differences, is_transductive, order_of
from jfewshot.reporting.grid import Mark
from jfewshot.reporting.labels import UpstreamNames, dataset_labels, upstream_labels
from jfewshot.statistics.ranks import READ_DECIMALS, as_read, average_ranks

Record = Mapping[str, Any]

# The name of each interval in a table's notes.
INTERVALS = {
    "ci95": "95% interval over episodes, as the papers report it; it holds for these clips only",
    "pool_ci95": "95% interval for new classes and clips (jackknife over classes)",
    "pool_ci95_classes_fixed": "95% interval for new clips of the same classes (jackknife over clips)",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Leaderboard:
    """Upstreams x datasets under one condition; accuracies 0-1.

    Attributes:
      title: the condition in words.
      condition: the settings that all cells share.
      intervals: names of the shown half-widths, from `INTERVALS`.
      upstreams: labels of the rows, best average first.
      datasets: labels of the columns.
      mean: mean accuracies; NaN if a cell is missing.
      half_widths: half-widths by interval; NaN if missing or unknown.
      cells: the record of each cell, by (row, column).
      average: average over the datasets; NaN for an upstream that lacks one.
      average_half_width: half-width of the average over these datasets, by interval; NaN for an upstream that lacks
          one.
      average_rank: average rank among the upstreams that have all datasets; NaN for the others.
      notes: notes about labels.
    """

    title: str
    condition: dict[str, Any]
    intervals: tuple[str, ...]
    upstreams: tuple[str, ...]
    datasets: tuple[str, ...]
    mean: Float[np.ndarray, "n_upstreams n_datasets"]
    half_widths: dict[str, Float[np.ndarray, "n_upstreams n_datasets"]]
    cells: dict[tuple[int, int], Record]
    average: Float[np.ndarray, " n_upstreams"]
    average_half_width: dict[str, Float[np.ndarray, " n_upstreams"]]
    average_rank: Float[np.ndarray, " n_upstreams"]
    notes: tuple[str, ...]

    @property
    def complete(self) -> Bool[np.ndarray, " n_upstreams"]:
        """Upstreams that have every dataset."""
        return ~np.isnan(self.mean).any(axis=1)


def leaderboards(records: Iterable[Record], interval: str | Sequence[str] = "ci95") -> list[Leaderboard]:
    """One leaderboard per condition (protocol, classifier, strength, preprocessing), the fullest first.

    Among equally full leaderboards the recommended classifier is first, and shots, ways and strengths are sorted as
    numbers.
    """
    return list(each_leaderboard(records, interval)[1])


def each_leaderboard(
    records: Iterable[Record], interval: str | Sequence[str] = "ci95"
) -> tuple[int, Iterator[Leaderboard]]:
    """`leaderboards`, each made when it is needed, since of a large grid only few are shown.

    Args:
      records: as `results.read_results` gives them.
      interval: see `leaderboard`.

    Returns:
      How many leaderboards there are, and the leaderboards, the fullest first.
    """
    records = list(records)
    groups: dict[str, list[Record]] = {}
    conditions = Conditions()
    for record in records:
        groups.setdefault(conditions.key(record), []).append(record)
    # Transductive results never come first, however many there are.
    in_order = sorted(
        groups.values(),
        key=lambda group: (is_transductive(group[0]["identity"]), -len(group), order_of(condition_of(group[0]))),
    )
    names = UpstreamNames(records)
    return len(in_order), (leaderboard(group, interval, names) for group in in_order)


def leaderboard(
    records: Sequence[Record], interval: str | Sequence[str] = "ci95", names: UpstreamNames | None = None
) -> Leaderboard:
    """Put result records of one condition in a table.

    Args:
      records: as `results.read_results` gives them.
      interval: one of `INTERVALS`, or two of them, or `both` for `ci95` and `pool_ci95`.
      names: of the upstreams of the whole report, where this leaderboard is a part of one.

    Returns:
      The leaderboard, its best rows first.

    Raises:
      UserError: if there is no record, if they differ in anything but data and embeddings (naming the difference), or
        for an unknown interval.
    """
    named = ("ci95", "pool_ci95") if interval == "both" else interval
    intervals = (named,) if isinstance(named, str) else tuple(named)
    unknown = [name for name in intervals if name not in INTERVALS]
    if unknown:
        raise UserError(f"unknown interval '{unknown[0]}'; there are {', '.join(INTERVALS)} and both")
    if not records:
        raise UserError("no results to put in a table; `python -m jfewshot.run` makes some")
    condition = _shared_condition(records)
    row_of, upstreams, row_notes = upstream_labels(records, names)
    column_of, datasets, column_notes = dataset_labels(records)
    cells: dict[tuple[int, int], Record] = {}
    for record, place in zip(records, zip(row_of, column_of, strict=True), strict=True):
        if place in cells:
            raise UserError(_twice(cells[place], record))
        cells[place] = record
    shape = len(upstreams), len(datasets)
    mean = np.full(shape, np.nan)
    half_widths = {name: np.full(shape, np.nan) for name in intervals}
    for place, record in cells.items():
        mean[place] = record["accuracy"]["mean"]
        for name in intervals:
            value = record["accuracy"].get(name)
            half_widths[name][place] = np.nan if value is None else value
    complete = ~np.isnan(mean).any(axis=1)
    rank = np.full(shape[0], np.nan)
    if complete.any():
        rank[complete] = average_ranks(mean[complete])
    board = Leaderboard(
        title=describe(condition),
        condition=condition,
        intervals=intervals,
        upstreams=upstreams,
        datasets=datasets,
        mean=mean,
        half_widths=half_widths,
        cells=cells,
        average=mean.mean(axis=1),
        # Datasets have different episodes and clips, so their variances add.
        average_half_width={name: np.sqrt((width**2).sum(axis=1)) / shape[1] for name, width in half_widths.items()},
        average_rank=rank,
        notes=row_notes + column_notes + _labels_per_class(cells, datasets),
    )
    # Best average first; below them the upstreams that lack a dataset, sorted by the mean of the datasets that they
    # have.
    have = np.nanmean(mean, axis=1)
    return reorder(board, sorted(range(shape[0]), key=lambda row: (not complete[row], -have[row])))


def labels_note(board: Leaderboard) -> tuple[str, ...]:
    """A note on the number of labels per class of each dataset, if all labels were used for training; else empty."""
    return _labels_per_class(board.cells, board.datasets)


def without_repeats(boards: Sequence[Leaderboard]) -> list[Leaderboard]:
    """Leave out leaderboards whose predictions all equal those of an earlier one, which then names them.

    At one shot, for instance, the nearest centroid is the nearest neighbour, so one table is enough.

    Args:
      boards: in the order of the report.
    """
    kept: dict[Any, Leaderboard] = {}
    for number, board in enumerate(boards):
        found = {
            (board.upstreams[row], board.datasets[column]): (record.get("draws"), predictions["sha256"])
            for (row, column), record in board.cells.items()
            if (predictions := record.get("predictions"))
        }
        key = frozenset(found.items()) if len(found) == len(board.cells) else number
        first = kept.get(key)
        if first is None:
            kept[key] = board
        else:
            note = f"“{board.title}” gives the same predictions, so its table is left out."
            kept[key] = dataclasses.replace(first, notes=(*first.notes, note))
    return list(kept.values())


def reorder(board: Leaderboard, rows: Sequence[int]) -> Leaderboard:
    """The leaderboard with its rows in another order, or only some of them; averages and ranks stay as they are."""
    rows = list(rows)
    place = {row: new for new, row in enumerate(rows)}
    return dataclasses.replace(
        board,
        upstreams=tuple(board.upstreams[row] for row in rows),
        mean=board.mean[rows],
        half_widths={name: width[rows] for name, width in board.half_widths.items()},
        cells={(place[row], column): record for (row, column), record in board.cells.items() if row in place},
        average=board.average[rows],
        average_half_width={name: width[rows] for name, width in board.average_half_width.items()},
        average_rank=board.average_rank[rows],
    )


def best_and_second(
    values: Float[np.ndarray, " n"], largest: bool = True, decimals: int = READ_DECIMALS, scale: float = 100.0
) -> list[Mark]:
    """Marks of a column: `best` for the best value, `second` for the next; equal printed values have equal marks.

    Args:
      values: accuracies 0-1, or ranks with `scale` 1; NaN where missing.
      largest: whether the largest value is the best.
      decimals: how many decimals the table prints.
      scale: factor from `values` to the printed numbers.

    Returns:
      a mark for each value; no marks if all printed values are equal.
    """
    read = as_read(scale * values, decimals) * (1 if largest else -1)
    distinct = np.unique(read[~np.isnan(read)])[::-1]
    if len(distinct) < 2:  # one value, or all equal: no marks
        return [""] * len(values)
    return ["best" if value == distinct[0] else "second" if value == distinct[1] else "" for value in read]


def _labels_per_class(cells: Mapping[tuple[int, int], Record], datasets: Sequence[str]) -> tuple[str, ...]:
    """How many labels the classes of each dataset have, where all of them were trained on."""
    found: dict[int, str] = {}
    for (_, column), record in sorted(cells.items()):
        labels = (record.get("counts") or {}).get("labels_per_class")
        if labels:
            least, most = labels["least"], labels["most"]
            found.setdefault(column, f"{datasets[column]} {least}" + (f" to {most}" if most > least else ""))
    return (f"Labels per class: {', '.join(found[column] for column in sorted(found))}.",) if found else ()


def _shared_condition(records: Sequence[Record]) -> dict[str, Any]:
    known = Conditions()
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(known.key(record), record)
    conditions = [condition_of(record) for record in first.values()]
    if len(conditions) > 1:
        named = [f"{name} is {' or '.join(values)}" for name, values in differences(conditions).items()]
        raise UserError(
            f"results of {len(conditions)} conditions cannot share a table: {'; '.join(named)}. "
            "Choose one, or use `leaderboards` for one table each"
        )
    return conditions[0]


def _twice(first: Record, second: Record) -> str:
    fields = differences([dict(first["identity"]), dict(second["identity"])])
    named = "; ".join(f"{name} is {' and '.join(value[:18] for value in values)}" for name, values in fields.items())
    return (
        f"two results for upstream '{first['upstream']['name']}' on dataset '{first['dataset']['name']}' "
        f"({first['key']} and {second['key']}): {named or 'the same record twice'}. Keep one of them"
    )
