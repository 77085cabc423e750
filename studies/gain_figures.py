"""Draws the gains and losses of kernels and of transductive heads in each sample cell, from the committed measurements.

    python -m studies.gain_figures

This command reads `benchmarks/measured/kernels.json` and `benchmarks/measured/transductive.json`, and writes
`docs/images/kernels.png` and `docs/images/transductive.png`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import COLORS, MARKERS, look
from studies.transductive import INDUCTIVE, TRANSDUCTIVE

_MEASURED, _IMAGES = Path("benchmarks/measured"), Path("docs/images")
_DPI = 110


def strips(axis: Axes, gains: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draw a row for each head, with a mark for each cell and condition, and a line at the mean of each condition.

    Args:
      axis: the axis to draw on.
      gains: gains in points of accuracy, by head and by condition.
    """
    for row, conditions in enumerate(gains.values()):
        for number, (condition, values) in enumerate(conditions.items()):
            height = row + (number - (len(conditions) - 1) / 2) * 0.3
            axis.plot(
                values,
                np.full(len(values), height),
                MARKERS[number],
                color=COLORS[number],
                markersize=3.5,
                alpha=0.55,
                markeredgewidth=0,
                linestyle="none",
                label=condition if row == 0 else None,
            )
            axis.plot([np.mean(values)] * 2, [height - 0.13, height + 0.13], color=COLORS[number], linewidth=2.2)
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set_yticks(range(len(gains)), list(gains))
    axis.invert_yaxis()


def kernels(found: Mapping[str, Any]) -> Figure:
    """Draw accuracy with a Gaussian kernel minus accuracy without, for each cell.

    Args:
      found: the content of `kernels.json`.
    """
    names = [name for name in found["gains"] if "auto" in name]
    gains = {
        name.replace(", 1 shots", ", 1 shot"): {
            "cells": [100 * (cell[name]["rbf"] - cell[name]["plain"]) for cell in found["cells"]]
        }
        for name in names
    }
    with look():
        drawn = Figure(figsize=(7.2, 3.4), layout="constrained")
        axis = drawn.subplots()
        strips(axis, gains)
        axis.set_xlabel("gain of kernel=rbf, percentage points (each mark is an encoder on a dataset; lines are means)")
    return drawn


def transductive(found: Mapping[str, Any]) -> Figure:
    """Draw accuracy of transductive heads minus accuracy of the better inductive head, for each cell and balance of queries.

    Args:
      found: the content of `transductive.json`.
    """
    words = {"equal": "balanced queries", "dirichlet:2": "Dirichlet(2) queries"}
    with look():
        drawn = Figure(figsize=(8.6, 4.4), layout="constrained")
        axes = drawn.subplots(1, 2, sharey=True)
        for axis, shots in zip(axes, (1, 5), strict=True):

            def of(cell, name, balance, shots=shots):
                return 100 * cell[f"{name}, {shots} shots"][balance]

            gains = {
                head: {
                    said: [
                        of(cell, head, balance) - max(of(cell, other, balance) for other in INDUCTIVE[shots])
                        for cell in found["cells"]
                    ]
                    for balance, said in words.items()
                }
                for head in TRANSDUCTIVE
            }
            strips(axis, gains)
            axis.set_title("1 shot" if shots == 1 else f"{shots} shots", loc="left")
            axis.set_xlabel("gain over the better inductive classifier, points")
        # The axes share their rows. If each axis were turned upside down by itself, the second call would undo the first.
        axes[0].set_ylim(len(TRANSDUCTIVE) - 0.5, -0.5)
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return drawn


def main() -> None:
    """Draw both figures."""
    for name, draw in (("kernels", kernels), ("transductive", transductive)):
        found = json.loads((_MEASURED / f"{name}.json").read_text())
        draw(found).savefig(_IMAGES / f"{name}.png", dpi=_DPI)


if __name__ == "__main__":
    main()
