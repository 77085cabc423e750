"""Estimate a run before it starts: how much is left to compute, and how much disk the results take."""

import dataclasses
from collections.abc import Sequence

from jfewshot.cells.planning import Cell
from jfewshot.cells.sizes import bytes_at_most, readable
from jfewshot.results import ResultFolder


def estimate(cells: Sequence[Cell], folder: ResultFolder) -> str:
    """Count the missing cells, the disk space of their results, and the time that existing cells took.

    Args:
      cells: the cells of the run.
      folder: the folder in which records are looked up.

    Returns:
      lines of text, with a newline at the end.
    """
    missing, seconds = [], []
    for cell in cells:
        found = {strength: folder.find(cell.key(strength)) for strength in cell.spec.strengths}
        seconds += [
            float((record.get("timing") or {}).get("wall_s") or 0.0) for record in found.values() if record is not None
        ]
        strengths = tuple(strength for strength, record in found.items() if record is None)
        if strengths:
            missing.append(dataclasses.replace(cell, spec=cell.spec._replace(strengths=strengths)))
    n_missing = sum(len(cell.spec.strengths) for cell in missing)
    sizes = {keep: readable(bytes_at_most(missing, keep)) for keep in ("predictions", "counts", "scores")}
    asked = sizes.pop(folder.keep)
    others = " or ".join(f"{size} with --keep {keep}" for keep, size in sizes.items())
    lines = [
        f"{n_missing:,} of {n_missing + len(seconds):,} cells have to be computed.",
        f"Their results take at most {asked}, or {others}.",
    ]
    if seconds:
        median = sorted(seconds)[len(seconds) // 2]
        lines.append(
            f"The median time to solve one of the {len(seconds):,} cells in {folder.path} was {1000 * median:.1f} ms: "
            f"solving the others takes about {n_missing * median:,.0f} s on the same machine."
        )
    return "\n".join(lines) + "\n"
