"""What does whitening with statistics of unlabelled audio gain on the sample stores, at fixed and chosen strengths?

    python -m studies.whitening --json benchmarks/measured/whitening.json

Each of the 32 sample cells is evaluated with `l2` and twice with `whiten_l2`. With "samples", the statistics come from the same
encoder's embeddings of the sample datasets that share no recording with the evaluated dataset. With "shipped", they are the
statistics that ship with jfewshot. The study takes about five minutes on two cores.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import jfewshot
from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import Store

# The two FSDD tasks share their recordings. So a background holds at most one of them, and neither is in the background of the
# other.
BACKGROUNDS = {
    "arabic_commands": ("esc10", "fsdd_digits"),
    "esc10": ("arabic_commands", "fsdd_digits"),
    "fsdd_digits": ("arabic_commands", "esc10"),
    "fsdd_speakers": ("arabic_commands", "esc10"),
}
HOW = ("l2", "samples", "shipped")
EPISODES = {1: 2000, 5: 1000, 20: 300}
CLASSIFIERS = ["logistic:C=1,auto", "ridge:alpha=auto", "centroid"]
# Other classifiers are not evaluated at 20 shots: 100 supports with a large C are slow, and not better than `ridge`.
AT_20_SHOTS = ["logistic:C=1", "ridge:alpha=auto", "centroid"]


def measure(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Accuracies of each cell, number of shots, classifier and preprocessing.

    Args:
      evaluator: the evaluator, which all cells share.

    Returns:
      one entry for each cell.
    """
    stores = opened_samples()
    found = []
    for store in stores:
        background = [other for other in stores if other.dataset in BACKGROUNDS[store.dataset]]
        statistics: dict[str, list[Store] | str | None] = {"l2": None, "samples": background, "shipped": "shipped"}
        cell: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream}
        for how in HOW:
            for shots, n_episodes in EPISODES.items():
                for record in jfewshot.evaluate(
                    store,
                    classifiers=AT_20_SHOTS if shots == 20 else CLASSIFIERS,
                    shots=shots,
                    n_episodes=n_episodes,
                    preprocessing="l2" if how == "l2" else "whiten_l2",
                    statistics_from=statistics[how],
                    evaluator=evaluator,
                ):
                    strength = record["identity"]["strength"]
                    name = record["identity"]["classifier"]["name"]
                    name += f" {strength['value']}" if strength else ""
                    cell.setdefault(f"{name}, {shots} shots", {})[how] = round(record["accuracy"]["mean"], 4)
        found.append(cell)
    return found


def gains(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cells in points, the number of cells that gain or lose more than a point, and the cells that change most.

    Args:
      cells: the result of `measure`.
    """
    table: dict[str, Any] = {}
    for name in (key for key in cells[0] if key not in ("dataset", "upstream")):
        before = 100 * np.array([cell[name]["l2"] for cell in cells])
        table[name] = {"l2": round(float(before.mean()), 2)}
        for how in HOW[1:]:
            gain = 100 * np.array([cell[name][how] for cell in cells]) - before
            table[name][how] = {
                "mean": round(float((before + gain).mean()), 2),
                "gain": round(float(gain.mean()), 2),
                "cells_up": int((gain > 1).sum()),
                "cells_down": int((gain < -1).sum()),
                "most": _cell_of(cells, gain.argmax(), gain),
                "least": _cell_of(cells, gain.argmin(), gain),
            }
    return table


def _cell_of(cells: list[dict[str, Any]], number: Any, gain: np.ndarray) -> list[Any]:
    return [cells[number]["dataset"], cells[number]["upstream"], round(float(gain[number]), 1)]


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print the means.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    cells = measure(Evaluator())
    found = {"made_with": made_with("jax", "numpy"), "episodes": EPISODES, "gains": gains(cells), "cells": cells}
    write_json(options.json, found, a_line_each=True)
    sys.stdout.write(json.dumps(found["gains"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
