"""How good are strengths that each episode chooses (`C=auto`, `alpha=auto`), compared with the best fixed one?

    python -m studies.auto_strength --json benchmarks/measured/auto_strength.json
    python -m studies.auto_strength --json benchmarks/measured/auto_strength.json --only 5x20

The study evaluates `ridge`, `logistic` and `svm` on the 32 sample cells (eight encoders on four tasks), at every strength of
their grids and with `auto`, all on the same episodes. "Best" is the value of the grid that is best for a cell in hindsight. The
study takes about ten minutes on two cores, most of it for 20 shots. `--only` measures some shapes (ways x shots) and keeps the
numbers of the other shapes in the file.

    python -m studies.auto_strength --json benchmarks/measured/auto_strength.json --explicit
    python -m studies.auto_strength --json benchmarks/measured/auto_strength.json --speed

`--explicit` compares the closed form with explicit leave-one-out of `logistic` itself (a refit without each support at every
strength), and the criterion of `ridge` with RidgeClassifierCV's. `--speed` measures episodes per second at strength 1 and with
`auto`, and of scikit-learn's RidgeClassifierCV. Each takes about two minutes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jfewshot
from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.evaluator.evaluator import Evaluator
from studies.auto_strength_checks import NAMES, bars, compare_criteria, compare_with_refits, measure_speed, strengths

# Ways x shots, and the number of episodes of a cell. Only the Arabic words have 20 classes.
SHAPES = {"5x1": 2000, "20x1": 500, "5x2": 1000, "5x5": 1000, "5x20": 200}


def measure(shape: str, n_episodes: int) -> list[dict[str, Any]]:
    """Accuracies of every strength of every grid, of `auto` and of the centroid.

    Args:
      shape: ways x shots.
      n_episodes: number of episodes of each cell.

    Returns:
      for each sample cell, the accuracies and how often `auto` chose each strength.
    """
    n_way, k_shot = map(int, shape.split("x"))
    evaluator = Evaluator()
    found = []
    for store in opened_samples():
        if len(set(store.clips.class_name.tolist())) < n_way:
            continue
        cell: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream}
        grids = [
            f"{name}:{kind.name}={','.join(f'{v:g}' for v in kind.grid)},auto" for name, kind in strengths().items()
        ]
        records = jfewshot.evaluate(
            store,
            classifiers=[*grids, "centroid"],
            ways=n_way,
            shots=k_shot,
            n_episodes=n_episodes,
            evaluator=evaluator,
        )
        for record in records:
            name, strength = record["identity"]["classifier"]["name"], record["identity"]["strength"]
            accuracy = round(record["accuracy"]["mean"], 5)
            if strength is None:
                cell[name] = accuracy
            elif strength["value"] == "auto":
                cell[name]["auto"] = accuracy
                cell[name]["chosen"] = [item["episodes"] for item in record["chosen"]]
            else:
                own = cell.setdefault(name, {"fixed": [], "not_converged": []})
                own["fixed"].append(accuracy)
                own["not_converged"].append(record["solver"].get("not_converged", 0))
        found.append(cell)
    return found


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print how far `auto` is from the best strength and from strength 1.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--json",
        type=Path,
        required=True,
        help="file for the results; parts of the file that are not measured are kept",
    )
    parser.add_argument(
        "--only", nargs="+", choices=SHAPES, help="shapes to measure (ways x shots); without this option, all"
    )
    parser.add_argument("--explicit", action="store_true", help="only compare with explicit leave-one-out")
    parser.add_argument("--speed", action="store_true", help="only measure episodes per second")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    found = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
    found["made_with"] = made_with("jax", "numpy")
    found["grids"] = {name: list(kind.grid) for name, kind in strengths().items()}
    if options.explicit:
        found["explicit"], found["criteria"] = compare_with_refits(), compare_criteria()
    if options.speed:
        found["speed"] = measure_speed()
        sys.stdout.write(json.dumps(found["speed"], indent=1) + "\n")
    shapes = [] if options.explicit or options.speed else list(options.only or SHAPES)
    for shape in shapes:
        found[shape] = {"episodes": SHAPES[shape], "cells": measure(shape, SHAPES[shape])}
        found[shape]["bars"] = {name: bars(found[shape]["cells"], name) for name in NAMES}
        sys.stdout.write(f"{shape}: {json.dumps(found[shape]['bars'])}\n")
    if options.explicit:
        sys.stdout.write(json.dumps([found["explicit"], found["criteria"]], indent=1) + "\n")
    parts = [*shapes, *(["explicit"] if options.explicit else []), *(["speed"] if options.speed else [])]
    write_json(options.json, found, a_line_each=True, parts=parts)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
