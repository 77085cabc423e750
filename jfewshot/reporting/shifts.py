"""Domain shift as a table: supports of the same domain as the queries, of another one, of all others, of any."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jfewshot.reporting.grid import Grid, grid
from jfewshot.statistics.domains import Shift, shift_over_domains

CONDITIONS = ("same", "other", "others", "any")


@dataclasses.dataclass(frozen=True, eq=False)
class ShiftResult:
    """One upstream on one dataset.

    Attributes:
      dataset: its title.
      upstream: its title.
      column: the column of the domains: `group`, or a further column.
      domains: the values of the column whose clips were queries.
      shift: mean accuracies in the order of `CONDITIONS`, and differences to the first.
      accuracy: accuracy of each condition with queries of a domain and supports of a domain; see `shift_over_domains`.
    """

    dataset: str
    upstream: str
    column: str
    domains: tuple[str, ...]
    shift: Shift
    accuracy: np.ndarray


def shift_result(
    dataset: str, upstream: str, column: str, domains: Sequence[str], found: Mapping[tuple[str, str, str], float]
) -> ShiftResult:
    """Collect the accuracies of an upstream on a dataset.

    Args:
      dataset: its title.
      upstream: its title.
      column: what the domains are.
      domains: values of the column.
      found: accuracy by condition, domain of the queries, and domain of the supports (that of the queries if supports
          have several domains).

    Returns:
      the means and differences.
    """
    place = {domain: number for number, domain in enumerate(domains)}
    accuracy = np.full((len(CONDITIONS), len(domains), len(domains)), np.nan)
    for (condition, query, support), value in found.items():
        accuracy[CONDITIONS.index(condition), place[query], place[support]] = value
    return ShiftResult(dataset, upstream, column, tuple(domains), shift_over_domains(accuracy), accuracy)


def headings(column: str) -> tuple[str, str, str, str]:
    """Names of the conditions for a column: `same group`, `another group`, `all other groups`, `any group`."""
    return f"same {column}", f"another {column}", f"all other {column}s", f"any {column}"


def shift_grid(results: Sequence[ShiftResult], how: str) -> Grid:
    """A row per upstream of one dataset and column, with the differences to supports of the same domain.

    Args:
      results: of one dataset and one column.
      how: classifier and episodes as text, for the title.

    Returns:
      the table, the upstream with the highest accuracy across domains first.
    """
    first = results[0]
    names = headings(first.column)
    ordered = sorted(results, key=lambda one: -one.shift.mean[1])
    columns = ["Upstream", *names, *(f"{name} − {names[0]}" for name in names[1:3])]
    rows = []
    for one in ordered:
        means = [_points(one.shift.mean[i], one.shift.half_width, i) for i in range(len(CONDITIONS))]
        differences = [
            _points(one.shift.difference[i], one.shift.difference_half_width, i, signed=True) for i in (1, 2)
        ]
        rows.append([one.upstream, *means, *differences])
    notes = [
        f"Accuracy in percent on {first.dataset}: queries of one {first.column} at a time, the mean over {len(first.domains)} "
        f"({', '.join(first.domains[:8])}{', ...' if len(first.domains) > 8 else ''}); supports of the {first.column}s that the "
        "column names. All columns of a row have the same queries.",
        f"± 95% interval for other {first.column}s like these: delete-one jackknife over the {first.column}s, Student's t."
        if first.shift.half_width is not None
        else f"No interval: two {first.column}s say nothing about others.",
    ]
    return grid(f"{first.dataset}, by {first.column} · {how}", columns, rows, notes)


def shift_json(results: Sequence[ShiftResult]) -> list[dict[str, Any]]:
    """All numbers, for programs.

    Args:
      results: of any datasets and columns.
    """

    def numbers(values: np.ndarray | None) -> list[float] | None:
        return None if values is None else [float(value) for value in values]

    return [
        {
            "dataset": one.dataset,
            "upstream": one.upstream,
            "column": one.column,
            "domains": list(one.domains),
            "conditions": list(CONDITIONS),
            "mean": numbers(one.shift.mean),
            "half_width": numbers(one.shift.half_width),
            "difference_to_same": numbers(one.shift.difference),
            "difference_half_width": numbers(one.shift.difference_half_width),
            "accuracy": [
                {"condition": CONDITIONS[c], "query": one.domains[q], "support": one.domains[s], "mean": float(value)}
                for (c, q, s), value in np.ndenumerate(one.accuracy)
                if not np.isnan(value)
            ],
        }
        for one in results
    ]


def _points(value: float, half_widths: np.ndarray | None, place: int, signed: bool = False) -> str:
    text = f"{100 * value:+.1f}".replace("-", "−") if signed else f"{100 * value:.1f}"
    return text if half_widths is None else f"{text} ± {100 * half_widths[place]:.1f}"
