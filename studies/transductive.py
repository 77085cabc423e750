"""What do transductive classifiers gain if the queries' classes are balanced, and how much of it if they are not balanced?

    python -m studies.transductive --json benchmarks/measured/transductive.json

Each of the 32 sample cells is evaluated with every transductive classifier and with two inductive classifiers, at 5 ways with 1
and 5 shots. An episode has 50 queries: 10 of each class, or classes in Dirichlet(2) proportions. One segment of each clip is
used. The classifiers' settings were chosen on other episodes (seed 777). The study takes about three minutes on two cores.
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

EPISODES = {1: 200, 5: 200}
BALANCES = ("equal", "dirichlet:2")
INDUCTIVE = {1: ["logistic", "centroid"], 5: ["ridge:alpha=auto", "centroid"]}
TRANSDUCTIVE = ["propagation", "sinkhorn", "tim", "alpha_tim", "laplacian_shot"]


def measure(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Accuracies of each cell, number of shots, classifier and balance of the queries.

    Args:
      evaluator: the evaluator, which all cells share.

    Returns:
      one entry for each cell.
    """
    found = []
    for store in opened_samples():
        cell: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream}
        for shots, n_episodes in EPISODES.items():
            names = INDUCTIVE[shots] + TRANSDUCTIVE
            for balance in BALANCES:
                records = jfewshot.evaluate(
                    store,
                    classifiers=names,
                    shots=shots,
                    n_query=10,
                    query_segments="one",
                    query_balance=balance,
                    n_episodes=n_episodes,
                    evaluator=evaluator,
                )
                for name, record in zip(names, records, strict=True):
                    accuracy = round(record["accuracy"]["mean"], 4)
                    cell.setdefault(f"{name}, {shots} shots", {})[balance] = accuracy
        found.append(cell)
    return found


def gains(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cells, and gains over the better inductive classifier of each cell, in points.

    Args:
      cells: the result of `measure`.
    """
    table: dict[str, Any] = {}
    for shots in EPISODES:
        for name in INDUCTIVE[shots] + TRANSDUCTIVE:
            for balance in BALANCES:
                own = 100 * np.array([cell[f"{name}, {shots} shots"][balance] for cell in cells])
                best = 100 * np.array(
                    [max(cell[f"{other}, {shots} shots"][balance] for other in INDUCTIVE[shots]) for cell in cells]
                )
                gain = own - best
                order = np.argsort(gain)
                entry: dict[str, Any] = {"mean": round(float(own.mean()), 2)}
                if name in TRANSDUCTIVE:
                    entry |= {
                        "gain": round(float(gain.mean()), 2),
                        "cells_up": int((gain > 1).sum()),
                        "cells_down": int((gain < -1).sum()),
                        "most": [_cell_of(cells[i], gain[i]) for i in order[:-4:-1]],
                        "least": [_cell_of(cells[i], gain[i]) for i in order[:3]],
                    }
                table.setdefault(f"{name}, {shots} shots", {})[balance] = entry
    return table


def _cell_of(cell: dict[str, Any], gain: Any) -> list[Any]:
    return [cell["dataset"], cell["upstream"], round(float(gain), 1)]


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
