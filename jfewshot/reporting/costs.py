"""Accuracy against the cost of an encoder (parameters, operations per clip, clips per second), and the Pareto front."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jfewshot.files import canonical_json
from jfewshot.reporting.document import Section, TableBlock
from jfewshot.reporting.figures.costs import CostPanel, cost_panels
from jfewshot.reporting.grid import MISSING, Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import Leaderboard, best_and_second
from jfewshot.reporting.series import Series, average_interval
from jfewshot.reporting.writer import Writer
from jfewshot.statistics.pareto import pareto_front


@dataclasses.dataclass(frozen=True, eq=False)
class Cost:
    """One kind of cost of each row of a leaderboard.

    Attributes:
      name: name in exports.
      label: label of an axis, with the unit.
      values: values in that unit; NaN if a store does not give it.
      is_rate: whether a larger value is better.
      front: the encoders that no other encoder dominates in accuracy and this cost.
    """

    name: str
    label: str
    values: Float[np.ndarray, " n_upstreams"]
    is_rate: bool
    front: Bool[np.ndarray, " n_upstreams"]


@dataclasses.dataclass(frozen=True, eq=False)
class Costs:
    """The costs of the encoders of a leaderboard.

    Attributes:
      board: the leaderboard.
      accuracy: average accuracy over its datasets; NaN for an encoder that lacks a dataset.
      kinds: parameters, operations, clips per second; costs that no store gives are left out.
      machines: each processor or GPU on which clips per second were measured, with its threads.
    """

    board: Leaderboard
    accuracy: Float[np.ndarray, " n_upstreams"]
    kinds: tuple[Cost, ...]
    machines: tuple[str, ...]


def find_costs(board: Leaderboard) -> Costs | None:
    """Collect the costs in the records of a leaderboard.

    An encoder's operations and clips per second are averages over its datasets (clips per second as a harmonic mean,
    which assumes the same number of clips from each dataset). Clips per second that were measured on different machines
    are not compared: their front is empty.

    Args:
      board: the leaderboard.

    Returns:
      the costs; None if no record has any.
    """
    accuracy = board.average if len(board.datasets) > 1 else board.mean[:, 0]
    found: dict[str, list[float]] = {name: [] for name in ("n_parameters", "flop_per_clip", "clips_per_s")}
    devices, machines = set(), set()
    for row in range(len(board.upstreams)):
        records = [record for (at, _), record in sorted(board.cells.items()) if at == row]
        costs = [record.get("cost") or {} for record in records]
        parameters = {record["upstream"].get("n_parameters") for record in records}
        found["n_parameters"].append(_number(parameters.pop()) if len(parameters) == 1 else np.nan)
        found["flop_per_clip"].append(float(np.mean([_number(cost.get("flop_per_clip")) for cost in costs])))
        rates = np.array([_number(cost.get("clips_per_s")) for cost in costs])
        found["clips_per_s"].append(float(1 / np.mean(1 / rates)))
        for cost in costs:
            if cost.get("device"):
                devices.add(cost["device"])
                machines.add((cost["device"], cost.get("threads")))
    kinds = []
    for name, label, scale in (
        ("n_parameters", "million parameters", 1e6),
        ("flop_per_clip", "GFLOP per clip", 1e9),
        ("clips_per_s", "clips per second", 1.0),
    ):
        values, is_rate = np.array(found[name]) / scale, name == "clips_per_s"
        front = pareto_front(accuracy, -values if is_rate else values)
        comparable = not is_rate or len(devices) == 1
        if not np.isnan(values).all():
            kinds.append(Cost(name, label, values, is_rate, front if comparable else np.zeros_like(front)))
    return Costs(board, accuracy, tuple(kinds), _machines_in_words(machines)) if kinds else None


def costs_grid(costs: Costs, series: Series) -> Grid:
    """A row for each encoder, best first: its accuracy, its costs, and on which fronts it is.

    Args:
      costs: what the encoders cost.
      series: which intervals the accuracies have.

    Returns:
      the table.
    """
    board = costs.board
    widths = average_interval(board, series.intervals)
    marks = best_and_second(costs.accuracy)
    rows: list[list[str | TableEntry]] = []
    for row, name in enumerate(board.upstreams):
        value = costs.accuracy[row]
        width = "" if np.isnan(widths[row]) else f" ± {100 * widths[row]:.2f}"
        accuracy = MISSING if np.isnan(value) else f"{100 * value:.2f}{width}"
        on = [kind.label for kind in costs.kinds if kind.front[row]]
        rows.append(
            [
                name,
                TableEntry(accuracy, marks[row]),
                *(MISSING if np.isnan(kind.values[row]) else f"{kind.values[row]:.3g}" for kind in costs.kinds),
                ", ".join(on) or MISSING,
            ]
        )
    several = f" on average over {len(board.datasets)} datasets" if len(board.datasets) > 1 else ""
    notes = [
        f"Accuracy in percent{several}, ± 95% interval for {series.about}: {board.title}.",
        "On the front: no other encoder is at least as accurate at no higher cost of this kind, and better in one of them. The "
        "intervals are not accounted for: what is on the front by less than its interval may not be for other clips.",
        f"{MISSING}: the store does not say, and what is not known is on no front.",
    ]
    if costs.machines:
        notes.append(f"Clips per second are those of one encoding process on {'; '.join(costs.machines)}.")
    if len({words.split(",")[0] for words in costs.machines}) > 1:
        notes.append("Clips per second of different machines are not compared, so their front is left out.")
    headings = ["Upstream", "Accuracy", *(kind.label for kind in costs.kinds), "On the front of accuracy and"]
    return grid("Accuracy against cost", headings, rows, notes)


def costs_json(costs: Costs) -> str:
    """The costs for programs: parameters, operations and clips per second in full precision, null if unknown.

    Args:
      costs: what the encoders cost.

    Returns:
      JSON with accuracies 0-1.
    """
    scale = {"n_parameters": 1e6, "flop_per_clip": 1e9, "clips_per_s": 1.0}
    rows = []
    for row, name in enumerate(costs.board.upstreams):
        entry: dict[str, Any] = {"upstream": name, "accuracy": _or_none(costs.accuracy[row])}
        for kind in costs.kinds:
            entry[kind.name] = _or_none(kind.values[row] * scale[kind.name])
        entry["on_front_of"] = [kind.name for kind in costs.kinds if kind.front[row]]
        rows.append(entry)
    about = {"condition": json.loads(canonical_json(costs.board.condition)), "datasets": list(costs.board.datasets)}
    return json.dumps(about | {"machines": list(costs.machines), "encoders": rows}, indent=1, ensure_ascii=False) + "\n"


def cost_sections(writer: Writer, series: Series, names: Sequence[str]) -> list[Section]:
    """Write the figure, the table and the JSON of a series' main leaderboard, and make the page's section of them.

    Args:
      writer: writes the files.
      series: the leaderboards that the answer is about.
      names: all labels of the report, so that each keeps its colour and marker.

    Returns:
      one section; none if no store gives the cost of its encoder.
    """
    costs = find_costs(series.main)
    if costs is None:
        return []
    writer.text("exports/costs.json", costs_json(costs))
    panels = [CostPanel(kind.label, kind.values, kind.is_rate, kind.front) for kind in costs.kinds]
    drawn = cost_panels(costs.accuracy, panels, costs.board.upstreams, names, costs.board.title)
    alt = "Accuracy of every upstream against what it costs, with the Pareto front of each kind of cost"
    caption = f"{alt}. The line joins the encoders on the front; the table has the numbers."
    picture = writer.figure("costs", drawn, alt, caption)
    table = TableBlock(writer.table("costs", costs_grid(costs, series)), sortable=True)
    return [Section("costs", "Accuracy against cost", (picture, table))]


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.10g}")


def _machines_in_words(machines: set[tuple[str, int | None]]) -> tuple[str, ...]:
    threads: dict[str, set[int]] = {}
    for device, count in sorted(machines, key=str):
        threads.setdefault(device, set()).update(() if count is None else (count,))
    return tuple(_words(device, sorted(counts)) for device, counts in threads.items())


def _words(device: str, counts: Sequence[int]) -> str:
    if not counts:
        return device
    shown = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{device}, {shown} {'thread' if counts == [1] else 'threads'} a batch"
