"""Tables with a row for each classifier, and the same comparison as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.printable import counted
from jfewshot.reporting.classifier_rows import ClassifierRows
from jfewshot.reporting.conditions import shots_words
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import best_and_second
from jfewshot.reporting.metrics import METRIC_WORDS
from jfewshot.statistics import fewest_differences

_LEVEL = 0.05


def classifier_grid(rows: ClassifierRows, short: bool = False) -> Grid:
    """Tabulate classifiers, highest mean first.

    Args:
      rows: the comparison.
      short: leave out the columns of single datasets and numbers of shots, and of wins, ties and losses.

    Returns:
      the table.
    """
    columns: list[tuple[str, Float[np.ndarray, " n_classifiers"]]] = []
    if not short:
        columns += [(name, _mean_where(rows, rows.datasets, name)) for name in sorted(set(rows.datasets))]
        if len(set(rows.shots)) > 1:
            names = {
                shots: f"{shots_words(shots)} shot{'' if shots == 1 else 's'}" for shots in sorted(set(rows.shots))
            }
            columns += [(words, _mean_where(rows, rows.shots, shots)) for shots, words in names.items()]
    if short or len(columns) > 1:
        columns.append(("Avg", rows.average))
    entries = [
        [TableEntry(f"{100 * value:.2f}", mark) for value, mark in zip(values, best_and_second(values), strict=True)]
        for _, values in columns
    ]
    marks = best_and_second(rows.average_rank, largest=False, scale=1.0)
    entries.append([TableEntry(f"{r:.2f}", mark) for r, mark in zip(rows.average_rank, marks, strict=True)])
    headings = ["Classifier", *(name for name, _ in columns), "Avg Rank", "Avg − best", "p (Holm)"]
    entries.append([TableEntry(_difference(rows, row)) for row in range(len(rows.classifiers))])
    entries.append([TableEntry(MISSING if row == 0 else f"{p:.3g}") for row, p in enumerate(rows.p_holm[0])])
    if not short:
        headings.append("wins-ties-losses")
        entries.append([TableEntry(_counts(rows, row)) for row in range(len(rows.classifiers))])
    lines: list[list[str | TableEntry]] = [
        [name, *(column[row] for column in entries)] for row, name in enumerate(rows.classifiers)
    ]
    kind = "Transductive classifiers" if rows.transductive else "Classifiers"
    return grid(f"{kind}: {rows.title}", headings, lines, _notes(rows, short))


def classifiers_json(every: Sequence[ClassifierRows]) -> str:
    """The comparisons as JSON: accuracies 0-1 in full precision, on every cell; unknown values are null.

    Args:
      every: the comparisons.
    """
    return json.dumps([_plain(rows) for rows in every], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _mean_where(rows: ClassifierRows, labels: Sequence[object], wanted: object) -> Float[np.ndarray, " n_classifiers"]:
    return rows.mean[:, [label == wanted for label in labels]].mean(axis=1)


def _difference(rows: ClassifierRows, row: int) -> str:
    if row == 0:
        return MISSING
    return f"{100 * (rows.average[row] - rows.average[0]):+.2f}".replace("-", "−")


def _counts(rows: ClassifierRows, row: int) -> str:
    if rows.wins_ties_losses is None or row == 0:
        return MISSING
    return "-".join(str(count) for count in rows.wins_ties_losses[row])


def _notes(rows: ClassifierRows, short: bool) -> list[str]:
    best, n_cells = rows.classifiers[0], len(rows.datasets)
    condition_metric = rows.records[0][0].get("metric") or "accuracy"
    metric = METRIC_WORDS[condition_metric]
    notes = [
        f"{metric[0].upper()}{metric[1:]} in percent, averaged over {counted(n_cells, 'cell')} on which all classifiers solved "
        f"the same episodes. A cell is one upstream on one dataset{_at_shots(rows)}."
    ]
    n_tests = len(rows.classifiers) * (len(rows.classifiers) - 1) // 2
    pairs = "the pair" if n_tests == 1 else f"all {n_tests} pairs of classifiers"
    notes.append(f"p: Wilcoxon's signed-rank test over the cells against {best}, after Holm over {pairs}.")
    needed = fewest_differences(n_tests, _LEVEL)
    if n_cells < needed:
        notes.append(
            f"With {counted(n_cells, 'cell')} no difference can be significant: p below {_LEVEL:g} needs {needed}."
        )
    elif not short:
        notes.append(
            "The test takes the cells as independent. Cells with one dataset or one upstream in common are not, so p tends to "
            "be too small."
        )
    if not short and rows.wins_ties_losses is None:
        notes.append(
            "Wins-ties-losses were not counted: there are too many results, or their predictions cannot be read."
        )
    elif not short:
        notes.append(
            f"Wins-ties-losses against {best}: cells on which the difference on the same episodes stands, its p (accounting for "
            f"the limited number of clips and classes) below {_LEVEL:g} after Holm over the cell's pairs"
            + (
                "."
                if rows.n_counted == n_cells
                else f"; {n_cells - rows.n_counted} of {n_cells} cells could not be counted."
            )
        )
    return [*notes, *rows.left_out]


def _at_shots(rows: ClassifierRows) -> str:
    return " at one number of shots" if len(set(rows.shots)) > 1 else ""


def _plain(rows: ClassifierRows) -> dict[str, Any]:
    cells = [
        {
            "dataset": rows.datasets[place],
            "upstream": rows.upstreams[place],
            "shots": "all" if np.isinf(shots) else int(shots),
            "accuracy": {name: float(rows.mean[row, place]) for row, name in enumerate(rows.classifiers)},
            "keys": {name: rows.records[row][place]["key"] for row, name in enumerate(rows.classifiers)},
        }
        for place, shots in enumerate(rows.shots)
    ]
    lines = []
    for row, name in enumerate(rows.classifiers):
        identity = rows.records[row][0]["identity"]
        counts = rows.wins_ties_losses
        lines.append(
            {
                "name": name,
                "classifier": identity["classifier"],
                "strength": identity.get("strength"),
                "average": float(rows.average[row]),
                "average_rank": float(rows.average_rank[row]),
                "difference_from_best": float(rows.average[row] - rows.average[0]),
                "p_value": None if row == 0 else float(rows.p_value[0, row]),
                "p_holm": None if row == 0 else float(rows.p_holm[0, row]),
                "wins_ties_losses": None if row == 0 or counts is None else [int(count) for count in counts[row]],
            }
        )
    return {
        "title": rows.title,
        "transductive": rows.transductive,
        "classifiers": lines,
        "cells": cells,
        "cells_counted": rows.n_counted,
        "left_out": list(rows.left_out),
    }
