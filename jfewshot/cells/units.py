"""The units of work that several processes share: numbers of cells, with all cells of one view in one unit."""

import dataclasses
import heapq
from collections.abc import Callable, Sequence

from jfewshot.cells.computing import missing_of
from jfewshot.cells.planning import Cell
from jfewshot.classifiers.specs import StrengthValue
from jfewshot.files import sha256_of_json
from jfewshot.results import Records

# Cells of one view by their number in the run, each with the strengths that have to be computed.
Unit = list[tuple[int, list[StrengthValue]]]


def missing_units(cells: Sequence[Cell], folder: Records, on_progress: Callable[[int], None]) -> list[Unit]:
    """The units that have to be computed: cells of one view are one unit, and no result is in two units.

    Args:
      cells: of the run.
      folder: where records are looked up.
      on_progress: called with the number of episodes whose records exist.

    Returns:
      the units, in the order of their first cells.
    """
    units: dict[tuple[str, str], Unit] = {}
    seen: set[str] = set()
    for number, cell in enumerate(cells):
        strengths = []
        for strength in missing_of(cell, folder):
            key = cell.key(strength)
            if key not in seen:
                seen.add(key)
                strengths.append(strength)
        on_progress(cell.protocol.n_episodes * (len(cell.spec.strengths) - len(strengths)))
        if strengths:
            units.setdefault((str(cell.store.path), cell.view), []).append((number, strengths))
    return list(units.values())


def cells_of_unit(unit: Unit, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of a unit, each with the strengths that have to be computed.

    Args:
      unit: one of the run's.
      cells: all cells of the run.
    """
    return [
        dataclasses.replace(cells[number], spec=cells[number].spec._replace(strengths=tuple(strengths)))
        for number, strengths in unit
    ]


def digest_of_cells(cells: Sequence[Cell]) -> str:
    """A digest of all keys, with which processes check that they plan the same run.

    Args:
      cells: of the run.
    """
    return sha256_of_json([[cell.key(strength) for strength in cell.spec.strengths] for cell in cells])


def largest_first(units: Sequence[Unit], cells: Sequence[Cell], at_least: int) -> list[Unit]:
    """Sort units for distribution; the last ones are small, so that no process works alone for long.

    The largest unit is halved until there are enough units, or each has one cell. Halving costs a second reading of the view.

    Args:
      units: of the run.
      cells: all cells of the run.
      at_least: the wanted number of units.

    Returns:
      the units, those with the most rows to read first.
    """
    # By size, then by the number of the first cell, which no two units share.
    heap = [(-_rows(unit, cells), unit[0][0], unit) for unit in units]
    heapq.heapify(heap)
    single: list[tuple[int, int, Unit]] = []
    while heap and len(heap) + len(single) < at_least:
        largest = heapq.heappop(heap)
        unit = largest[2]
        if len(unit) == 1:
            single.append(largest)
            continue
        for half in (unit[: len(unit) // 2], unit[len(unit) // 2 :]):
            heapq.heappush(heap, (-_rows(half, cells), half[0][0], half))
    return [unit for _, _, unit in sorted([*heap, *single])]


def _rows(unit: Unit, cells: Sequence[Cell]) -> int:
    """Numbers that have to be read for a unit: its view once, and the rows of every episode."""
    cell = cells[unit[0][0]]
    rows = cell.clips.n_rows
    for number, strengths in unit:
        protocol = cells[number].protocol
        clips = protocol.n_episodes * protocol.n_way * (protocol.k_shot + protocol.n_query)
        rows += clips * len(strengths) * cell.clips.n_rows // len(cell.clips)
    return rows * int(cell.store.manifest["views"][cell.view]["dim"])
