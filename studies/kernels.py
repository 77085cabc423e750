"""How does the Gaussian kernel change accuracy on the sample stores, and how much time does it take?

    python -m studies.kernels --json benchmarks/measured/kernels.json
    python -m studies.kernels --json benchmarks/measured/kernels.json --speed

Each of the 32 sample cells is evaluated with `logistic`, `ridge` and `svm`, plain and with `kernel=rbf`, on the same episodes
(seed 42; gamma was chosen on episodes of seed 777). `logistic` and `svm` with a chosen C are not evaluated at 20 shots, because
they would take most of the time and are not better than `ridge`. The study takes about six minutes on two cores. `--speed` takes
one minute more.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

import jfewshot
from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import open_store
from jfewshot.store.reading import sample_stores

EPISODES = {1: 600, 5: 300, 20: 100}
CLASSIFIERS = ["logistic:C=1", "logistic:C=auto", "ridge:alpha=auto", "svm:C=auto"]
AT_20_SHOTS = ["logistic:C=1", "ridge:alpha=auto"]
KERNEL = ":kernel=rbf"
# Number of episodes of a timed call, by classifier and number of shots; and number of rounds, whose median is reported.
TIMED = {"logistic:C=1": {1: 20_000, 5: 4000}, "ridge:alpha=auto": {1: 20_000, 5: 4000, 20: 200}}
ROUNDS = 3


def measure(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Accuracies of each cell, number of shots and classifier, plain and with the kernel.

    Args:
      evaluator: the evaluator, which all cells share.

    Returns:
      one entry for each cell.
    """
    found = []
    for store in opened_samples():
        cell: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream}
        for shots, n_episodes in EPISODES.items():
            names = AT_20_SHOTS if shots == 20 else CLASSIFIERS
            both = [name + kernel for name in names for kernel in ("", KERNEL)]
            records = jfewshot.evaluate(
                store, classifiers=both, shots=shots, n_episodes=n_episodes, evaluator=evaluator
            )
            for name, plain, kernel in zip(names, records[::2], records[1::2], strict=True):
                pair = (round(record["accuracy"]["mean"], 4) for record in (plain, kernel))
                unsolved = kernel["solver"].get("not_converged", 0)
                cell[f"{name}, {shots} shots"] = dict(zip(("plain", "rbf"), pair, strict=True)) | (
                    {"not_converged": unsolved} if unsolved else {}
                )
        found.append(cell)
    return found


def gains(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cells in points, the number of cells that gain or lose more than a point, and the cells that change most.

    Args:
      cells: the result of `measure`.
    """
    table: dict[str, Any] = {}
    for name in (key for key in cells[0] if key not in ("dataset", "upstream")):
        plain, rbf = (100 * np.array([cell[name][how] for cell in cells]) for how in ("plain", "rbf"))
        gain = rbf - plain
        order = np.argsort(gain)
        table[name] = {
            "plain": round(float(plain.mean()), 2),
            "rbf": round(float(rbf.mean()), 2),
            "cells_up": int((gain > 1).sum()),
            "cells_down": int((gain < -1).sum()),
            "most": [_cell_of(cells[i], gain[i]) for i in order[:-4:-1]],
            "least": [_cell_of(cells[i], gain[i]) for i in order[:3]],
        }
    return table


def _cell_of(cell: dict[str, Any], gain: Any) -> list[Any]:
    return [cell["dataset"], cell["upstream"], round(float(gain), 1)]


def speed() -> dict[str, Any]:
    """Measure time with the kernel as a multiple of the time without, in turns, on ESC-10's YAMNet embeddings."""
    store = open_store(sample_stores() / "esc10" / "yamnet")
    evaluator = Evaluator()
    found = {}
    for name, episodes in TIMED.items():
        for shots, n_episodes in episodes.items():
            ratios, rates = [], []
            for number in range(ROUNDS + 1):
                seconds = [
                    jfewshot.evaluate(
                        store, classifiers=name + kernel, shots=shots, n_episodes=n_episodes, evaluator=evaluator
                    )[0]["timing"]["wall_s"]
                    for kernel in ("", KERNEL)
                ]
                if number:  # the first round also draws the episodes, and does not count
                    ratios.append(seconds[1] / seconds[0])
                    rates.append(n_episodes / seconds[1])
            found[f"{name}, {shots} shots"] = {
                "times_plain": round(statistics.median(ratios), 2),
                "episodes_per_s": round(statistics.median(rates)),
            }
    return found


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print the means.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--speed", action="store_true", help="only measure times, and keep the accuracies of the file")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    found = json.loads(options.json.read_text()) if options.json.exists() else {}
    if options.speed:
        found["speed"] = speed()
    else:
        cells = measure(Evaluator())
        found |= {"made_with": made_with("jax", "numpy"), "episodes": EPISODES, "gains": gains(cells), "cells": cells}
    write_json(options.json, found, a_line_each=True, parts=["speed" if options.speed else "accuracies"])
    sys.stdout.write(json.dumps(found["speed" if options.speed else "gains"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
