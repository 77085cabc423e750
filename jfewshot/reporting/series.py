"""Leaderboards that differ only in shots: one classifier's accuracy from few labels to many."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.files import canonical_json
from jfewshot.reporting.analysis import FEW_CLASSES
from jfewshot.reporting.conditions import (
    ALONG_SHOTS,
    classifier_name,
    classifier_words,
    is_transductive,
    order_of,
    shots_of_title,
    shots_words,
)
from jfewshot.reporting.conditions import shots_of as shots_of_protocol
from jfewshot.reporting.figures.curves import Curve, Panel
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import Leaderboard, Record, best_and_second, labels_note
from jfewshot.reporting.metrics import METRIC_WORDS
from jfewshot.reporting.trends import EPISODES, MOST_CURVES, Trend, places_on_axis

AVERAGE = "Average"
_MOST_PANELS = 4  # largest number of datasets with their own panels; with more datasets only the average is shown
# Intervals of a record, from the most general to the least general, and the kind of new sample that each is for.
_MOST_NAMED = 3  # datasets that the heading of a column names
_INTERVALS = ("pool_ci95", "pool_ci95_classes_fixed", "ci95")
FOR = {
    "pool_ci95": "new classes and clips",
    "pool_ci95_classes_fixed": "new clips of these classes",
    "ci95": "new episodes of these clips",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """Leaderboards whose conditions differ only in shots.

    Attributes:
      boards: by shots, ascending.
      main: the board that the answer is about: the one with 5 shots if no other board is fuller, else the nearest above
          or below.
      intervals: for each dataset, the most general interval that all of its cells have. With few classes the variance
          over classes is very uncertain, so the classes are held fixed.
    """

    boards: tuple[Leaderboard, ...]
    main: Leaderboard
    intervals: Mapping[str, str]

    @property
    def shots(self) -> tuple[float, ...]:
        """Support clips per class of each board; infinite at the end for all labels."""
        return tuple(shots_of(board) for board in self.boards)

    @property
    def about(self) -> str:
        """The kind of new sample that the intervals are for, as text."""
        return in_words(set(self.intervals.values()))


def shots_of(board: Leaderboard) -> float:
    """Support clips per class; infinite where all labels were trained on."""
    return shots_of_protocol(board.condition["protocol"])


def chance_of(board: Leaderboard) -> float:
    """Chance level, 0-1; for several datasets, the mean over the datasets."""
    ways = [record["identity"]["protocol"]["n_way"] for record in board.cells.values()]
    return float(np.mean([1 / n_way for n_way in ways])) if ways else 1 / board.condition["protocol"]["n_way"]


def all_series(boards: Sequence[Leaderboard]) -> list[Series]:
    """Every series among some leaderboards, with the most important one first.

    The most important series has the most results in its fullest table, uses the test split if there is one, the
    recommended classifier at its usual strength, and the most shots.

    Args:
      boards: of any conditions; at least one.
    """
    groups: dict[str, list[Leaderboard]] = {}
    for board in boards:
        groups.setdefault(_without_shots(board.condition), []).append(board)
    found = [_series(sorted(group, key=shots_of)) for group in groups.values()]
    return sorted(found, key=_first)


def in_words(intervals: Collection[str]) -> str:
    """The kind of new sample that several intervals are for together, as text.

    Args:
      intervals: fields of a record's `accuracy`.
    """
    if set(intervals) == {"pool_ci95", "pool_ci95_classes_fixed"}:
        return f"new clips, and new classes of the datasets with {FEW_CLASSES} classes or more"
    return next(FOR[name] for name in reversed(_INTERVALS) if name in intervals)


def interval_of(board: Leaderboard, intervals: Mapping[str, str]) -> Float[np.ndarray, "n_upstreams n_datasets"]:
    """Half-widths of a series' intervals, even if the leaderboard shows another interval.

    Args:
      board: the leaderboard.
      intervals: from `Series`.

    Returns:
      NaN where a cell or its interval is missing.
    """
    width = np.full(board.mean.shape, np.nan)
    for place, record in board.cells.items():
        value = record["accuracy"].get(intervals[board.datasets[place[1]]])
        width[place] = np.nan if value is None else value
    return width


def average_interval(board: Leaderboard, intervals: Mapping[str, str]) -> Float[np.ndarray, " n_upstreams"]:
    """Half-width of each upstream's average; datasets have different clips, so their variances add."""
    return np.sqrt((interval_of(board, intervals) ** 2).sum(axis=1)) / len(board.datasets)


def series_trend(series: Series) -> Trend | None:
    """Accuracy over shots with bands: a panel for each dataset, or one for the average if there are many datasets.

    Args:
      series: the leaderboards.

    Returns:
      None for a single number of shots.
    """
    if len(series.boards) < 2:
        return None
    datasets = list(dict.fromkeys(name for board in series.boards for name in board.datasets))
    panels = [AVERAGE] if len(datasets) > _MOST_PANELS else datasets
    found = []
    on_axis = places_on_axis(series.shots)
    for panel in panels:
        points: dict[str, list[tuple[float, float, float, float]]] = {}
        for board in series.boards:
            if panel != AVERAGE and panel not in board.datasets:
                continue
            column = None if len(panels) == 1 and panel == AVERAGE else board.datasets.index(panel)
            mean = board.average if column is None else board.mean[:, column]
            widths = interval_of(board, series.intervals)
            width = average_interval(board, series.intervals) if column is None else widths[:, column]
            own = dict.fromkeys(board.datasets, EPISODES)
            inner = average_interval(board, own) if column is None else interval_of(board, own)[:, column]
            for name, value, half, episodes in zip(board.upstreams, mean, width, inner, strict=True):
                if not np.isnan(value):
                    place = on_axis[shots_of(board)]
                    points.setdefault(name, []).append((place, float(value), float(half), float(episodes)))
        curves = [Curve(name, *map(tuple, zip(*line, strict=True))) for name, line in points.items()]
        best_first = sorted(curves, key=lambda curve: -curve.mean[-1])
        found.append(Panel(panel, tuple(best_first[:MOST_CURVES])))
    title = f"{classifier_words(series.main.condition)}; band: 95% interval for {series.about}"
    if set(series.intervals.values()) != {EPISODES}:
        title += f", darker band: for {FOR[EPISODES]}"
    ticks = {on_axis[shots]: shots_words(shots) for shots in series.shots}
    return Trend("shots", title, "labelled clips per class (shots)", ticks, True, tuple(found))


def inductive_first(every: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """Separate series of inductive and of transductive classifiers, which must not be in one table.

    Args:
      every: all series, the one to read first at the front.

    Returns:
      inductive series and transductive series; if there are only transductive series, these and an empty list.
    """
    kinds: tuple[list[Series], list[Series]] = ([], [])
    for series in every:
        kinds[is_transductive(series.main.condition)].append(series)
    return kinds if kinds[0] else (kinds[1], [])


def across_grid(every: Sequence[Series], title: str = "All encoders, across shots and classifiers") -> Grid:
    """One table across shots and classifiers: a row per upstream, the accuracy (on average over the datasets) in each condition.

    Args:
      every: all series, the one to read first at the front.
      title: the table's title.

    Returns:
      the table; upstreams in the order of the first series' main leaderboard.
    """
    boards = [board for series in every for board in series.boards]
    order = [*every[0].main.upstreams, *(name for board in boards for name in board.upstreams)]
    names = list(dict.fromkeys(order))
    headings, columns, marks = ["Upstream"], [], []
    titles = _headings(every)
    one_list = len({frozenset(board.datasets) for board in boards}) == 1
    for series, words in zip(every, titles, strict=True):
        for board in series.boards:
            means = _means(board)
            widths = _widths(board, series.intervals)
            values = np.array([means.get(name, np.nan) for name in names])
            texts = []
            for name, value in zip(names, values, strict=True):
                half = widths.get(name, np.nan)
                band = "" if np.isnan(half) else f" ± {100 * half:.2f}"
                texts.append(MISSING if np.isnan(value) else f"{100 * value:.2f}{band}")
            n = shots_of(board)
            shots = "all labels" if np.isinf(n) else f"{n:g} {'shot' if n == 1 else 'shots'}"
            of = "" if one_list else f" ({_listed(board.datasets)})"
            headings.append(f"{shots}{f', {words}' if words else ''}{of}")
            columns.append(texts)
            marks.append(best_and_second(values))
    rows: list[list[str | TableEntry]] = [
        [name, *(TableEntry(column[row], mark[row]) for column, mark in zip(columns, marks, strict=True))]
        for row, name in enumerate(names)
    ]
    intervals = list(dict.fromkeys(series.about for series in every))
    n_datasets = max(len(board.datasets) for board in boards)
    over = f", on average over {n_datasets} datasets" if n_datasets > 1 else f" on {boards[0].datasets[0]}"
    if not one_list:
        over = ", on average over the datasets of each column"
    metric = METRIC_WORDS[every[0].main.condition.get("metric", "accuracy")]
    notes = [f"{metric[0].upper()}{metric[1:]} in percent{over}, ± 95% interval for {' or '.join(intervals)}."]
    if not one_list:
        notes.append("Columns are of different datasets, and their numbers cannot be compared with each other.")
    notes += list(
        dict.fromkeys(note.replace("Labels", "All labels", 1) for board in boards for note in labels_note(board))
    )
    if any(not board.complete.all() for board in boards):
        notes.append(f"{MISSING}: not evaluated on every dataset.")
    return grid(title, headings, rows, notes)


def _listed(datasets: Sequence[str]) -> str:
    return ", ".join(datasets) if len(datasets) <= _MOST_NAMED else f"{len(datasets)} datasets"


def _means(board: Leaderboard) -> dict[str, float]:
    values = board.average if len(board.datasets) > 1 else board.mean[:, 0]
    return dict(zip(board.upstreams, values.tolist(), strict=True))


def _widths(board: Leaderboard, intervals: Mapping[str, str]) -> dict[str, float]:
    return dict(zip(board.upstreams, average_interval(board, intervals).tolist(), strict=True))


def _headings(every: Sequence[Series]) -> list[str]:
    """Headings that distinguish the series, as short as possible: empty, the classifier, or all differences."""
    conditions = [series.main.condition for series in every]
    if len(every) == 1:
        return [""]
    for words in (
        [classifier_name(condition["classifier"]) for condition in conditions],
        [classifier_words(condition) for condition in conditions],
    ):
        if len(set(words)) == len(words):
            return words
    shown = [series.main.title.split(" · ") for series in every]
    shared = set.intersection(*(set(parts) for parts in shown))
    shots = [shots_of_title(shots_of(series.main)) for series in every]
    return [
        ", ".join(part.replace(own, "") for part in parts if part not in shared)
        for parts, own in zip(shown, shots, strict=True)
    ]


def _without_shots(condition: dict[str, Any]) -> str:
    protocol = {k: v for k, v in condition["protocol"].items() if k not in ("k_shot", *ALONG_SHOTS)}
    return canonical_json({**condition, "protocol": protocol})


def _series(boards: Sequence[Leaderboard]) -> Series:
    fullest = max(len(board.cells) for board in boards)
    full = [board for board in boards if len(board.cells) == fullest]
    main = min(full, key=lambda board: (abs(np.log(shots_of(board) / 5)), -shots_of(board)))
    of_dataset: dict[str, list[Record]] = {}
    for board in boards:
        for (_, column), record in board.cells.items():
            of_dataset.setdefault(board.datasets[column], []).append(record)
    return Series(tuple(boards), main, {name: _interval(records) for name, records in of_dataset.items()})


def _interval(records: Sequence[Record]) -> str:
    few = any((record.get("counts") or {}).get("classes", FEW_CLASSES) < FEW_CLASSES for record in records)
    for name in _INTERVALS:
        if all(record["accuracy"].get(name) is not None for record in records) and not (few and name == "pool_ci95"):
            return name
    return "ci95"


def _first(series: Series) -> tuple[Any, ...]:
    condition = series.main.condition
    protocol = condition["protocol"]
    first, name, settings, strength, preprocessing, *_ = order_of(condition)
    is_number, value, _ = strength
    return (
        is_transductive(condition),
        -len(series.main.cells),
        protocol.get("split") not in (None, "test"),
        first,
        name,
        settings,
        abs(np.log(value)) if is_number and value > 0 else 0.0,  # of fixed ones, the one nearest to the default 1
        -len(series.boards),
        float("inf") if protocol["n_way"] == "all" else abs(protocol["n_way"] - 5),
        preprocessing != "l2",
        series.main.title,
    )
