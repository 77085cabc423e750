"""What the Gaussian kernel gains and loses on the sample stores, and what it costs.

    python -m studies.kernels --json benchmarks/measured/kernels.json
    python -m studies.kernels --json benchmarks/measured/kernels.json --speed

Each of the 32 sample cells is evaluated with `logistic`, `ridge` and `svm`, plain and with `kernel=rbf`, on the same episodes
(seed 42; gamma was chosen on those of seed 777). 20 shots of `logistic` and `svm` with a chosen C are left out: they take most of
the time, and `ridge` is as good. About six minutes on two cores; `--speed` takes one more.
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
# Of a timing: episodes for each number of shots, and rounds in turns, whose median counts.
TIMED = {"logistic:C=1": {1: 20_000, 5: 4000}, "ridge:alpha=auto": {1: 20_000, 5: 4000, 20: 200}}
ROUNDS = 3


def measure(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Accuracies of each cell, number of shots and classifier, plain and with the kernel.

    Args:
      evaluator: shared by all cells.

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
    """Means over the cells, in points; how many cells gain or lose more than a point, and which gain or lose most.

    Args:
      cells: from `measure`.
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
    """Time with the kernel as a multiple of the time without, on ESC-10's YAMNet embeddings, in turns."""
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
                if number:  # the first round draws the episodes
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
      arguments: of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--speed", action="store_true", help="measure times, and keep the file's accuracies")
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
