"""Leaderboards as tables: for a terminal, a README, a paper, a spreadsheet, a program.

```python
from jfewshot.results import read_results
from jfewshot.reporting.tables import leaderboards, render

for board in leaderboards(read_results("results").records):
    print(render(board, "markdown"))
```
"""

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import rich.console

from jfewshot.files.csv_cells import csv_text
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid, to_latex, to_markdown, to_rich, to_terminal
from jfewshot.reporting.leaderboard import INTERVALS, Leaderboard, best_and_second, leaderboard, leaderboards
from jfewshot.reporting.metrics import METRIC_WORDS

__all__ = ["Leaderboard", "csv_of_boards", "leaderboard", "leaderboard_grid", "leaderboards", "render", "rich_table"]

Format = Literal["terminal", "markdown", "latex", "csv", "json"]
Style = Literal["published", "dense"]
DECIMALS: dict[Style, int] = {"published": 2, "dense": 1}


def render(board: Leaderboard, form: Format, style: Style = "published", width: int = 120) -> str:
    """Write a leaderboard as text.

    Args:
      board: from `leaderboard` or `leaderboards`.
      form: `terminal`, `markdown` and `latex` are for reading, in percent; `csv` and `json` for programs: accuracies
        0-1 in full precision.
      style: `published` as the papers print it (57.10 ± 0.43), `dense` with one decimal (57.1±0.4) and no spaces.
      width: width of the terminal, in characters; wider tables continue below.

    Returns:
      the text.
    """
    if form == "csv":
        return _csv(board)
    if form == "json":
        return json.dumps(_plain(board), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    table = leaderboard_grid(board, style)
    if form == "terminal":
        return to_terminal(table, width)
    return {"markdown": to_markdown, "latex": to_latex}[form](table)


def rich_table(board: Leaderboard, width: int, style: Style = "published") -> rich.console.Group:
    """A leaderboard that a rich console prints: `console.print(rich_table(board, console.width))`.

    Args:
      board: from `leaderboard` or `leaderboards`.
      width: width of the console in characters.
      style: `published` or `dense`, as in `render`.

    Returns:
      a table, or several below each other if one is too wide.
    """
    return to_rich(leaderboard_grid(board, style), width)


def leaderboard_grid(board: Leaderboard, style: Style = "published") -> Grid:
    """The leaderboard's text: mean ± interval in percent, average, average rank; best and second best marked."""
    columns, marks = [], []
    decimals = DECIMALS[style]
    for column in range(len(board.datasets)):
        widths = [board.half_widths[name][:, column] for name in board.intervals]
        columns.append([_number(m, [w[row] for w in widths], style) for row, m in enumerate(board.mean[:, column])])
        marks.append(best_and_second(board.mean[:, column], decimals=decimals))
    headings = ["Upstream", *board.datasets]
    if len(board.datasets) > 1 and board.complete.any():
        widths = [board.average_half_width[name] for name in board.intervals]
        columns.append([_number(m, [w[row] for w in widths], style) for row, m in enumerate(board.average)])
        marks.append(best_and_second(board.average, decimals=decimals))
        columns.append([_rank(rank) for rank in board.average_rank])
        marks.append(best_and_second(board.average_rank, largest=False, scale=1.0))
        headings += ["Avg", "Avg Rank"]
    rows: list[list[str | TableEntry]] = [
        [label, *(TableEntry(texts[row], mark[row]) for texts, mark in zip(columns, marks, strict=True))]
        for row, label in enumerate(board.upstreams)
    ]
    notes = _notes(board)
    if style == "dense" and "Avg Rank" in headings:
        notes = (*notes, "Ranks are of accuracies with two decimals.")
    return grid(board.title, headings, rows, notes)


def _number(mean: float, half_widths: list[float], style: Style) -> str:
    if np.isnan(mean):
        return MISSING
    decimals, gap = DECIMALS[style], " " if style == "published" else ""
    text = f"{100 * mean:.{decimals}f}"
    known = [MISSING if np.isnan(width) else f"{100 * width:.{decimals}f}" for width in half_widths]
    if len(known) == 1:
        return text if known[0] == MISSING else f"{text}{gap}±{gap}{known[0]}"
    return f"{text}{gap}±{gap}{known[0]}{gap}(±{gap}{known[1]})"


def _rank(rank: float) -> str:
    """One decimal, or two if the second is not zero: 2.5, 4.25, 3.0."""
    if np.isnan(rank):
        return MISSING
    text = f"{rank:.2f}"
    return text[:-1] if text.endswith("0") else text


def _notes(board: Leaderboard) -> tuple[str, ...]:
    what = [INTERVALS[name] for name in board.intervals]
    shown = f"mean ± {what[0]}" + (f" (in brackets: {what[1]})" if len(what) > 1 else "")
    metric = METRIC_WORDS[board.condition.get("metric", "accuracy")]
    notes = [f"{metric[0].upper()}{metric[1:]} in percent, {shown}."]
    if not board.complete.all():
        some = "Avg and Avg Rank are over the upstreams that have every dataset." if board.complete.any() else ""
        notes.append(f"{MISSING}: not evaluated. {some}".rstrip())
    if any(np.isnan(board.half_widths[name][~np.isnan(board.mean)]).any() for name in board.intervals):
        notes.append("No interval is given where the pool is too small to estimate one.")
    return (*notes, *board.notes)


def csv_of_boards(boards: Sequence[Leaderboard]) -> str:
    """Write leaderboards of any conditions as one CSV table, whose first column names the condition of each row.

    Args:
      boards: at least one, with equal intervals.

    Returns:
      One row per condition and upstream; the columns are those of `render(board, "csv")` for all datasets of all boards. A
      dataset that a condition lacks is empty.
    """
    datasets = tuple(dict.fromkeys(dataset for board in boards for dataset in board.datasets))
    rows: list[list[object]] = [["condition", *_csv_headings(datasets, boards[0].intervals)]]
    for board in boards:
        columns = [board.datasets.index(dataset) if dataset in board.datasets else None for dataset in datasets]
        rows += [[board.title, *_csv_row(board, row, columns)] for row in range(len(board.upstreams))]
    return csv_text(rows)


def _csv(board: Leaderboard) -> str:
    columns = range(len(board.datasets))
    rows = [_csv_row(board, row, columns) for row in range(len(board.upstreams))]
    return csv_text([_csv_headings(board.datasets, board.intervals), *rows])


def _csv_headings(datasets: Sequence[str], intervals: Sequence[str]) -> list[object]:
    groups = [(dataset, *(f"{dataset} {name}" for name in intervals)) for dataset in (*datasets, "average")]
    return ["upstream", *(heading for group in groups for heading in group), "average_rank"]


def _csv_row(board: Leaderboard, row: int, columns: Sequence[int | None]) -> list[object]:
    values: list[float] = []
    for column in columns:
        if column is None:
            values += [np.nan] * (1 + len(board.intervals))
        else:
            values += [board.mean[row, column], *(board.half_widths[name][row, column] for name in board.intervals)]
    values += [board.average[row], *(board.average_half_width[name][row] for name in board.intervals)]
    values.append(board.average_rank[row])
    return [board.upstreams[row], *(None if np.isnan(value) else float(value) for value in values)]


def _plain(board: Leaderboard) -> dict:
    rows = []
    for row, upstream in enumerate(board.upstreams):
        cells = {
            dataset: {
                "mean": float(board.mean[row, column]),
                **{name: _or_none(board.half_widths[name][row, column]) for name in board.intervals},
                "key": board.cells[row, column]["key"],
            }
            for column, dataset in enumerate(board.datasets)
            if (row, column) in board.cells
        }
        rows.append(
            {
                "upstream": upstream,
                "cells": cells,
                "average": _or_none(board.average[row]),
                **{f"average_{name}": _or_none(board.average_half_width[name][row]) for name in board.intervals},
                "average_rank": _or_none(board.average_rank[row]),
            }
        )
    return {"title": board.title, "condition": board.condition, "datasets": list(board.datasets), "rows": rows}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
