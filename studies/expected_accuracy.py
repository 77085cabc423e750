"""Is the expected accuracy that `jfewshot fit` reports correct on new clips of new groups?

    python -m studies.expected_accuracy --json benchmarks/measured/expected_accuracy.json

Each of the 32 sample cells is split 25 times. A head is fitted on the clips of two thirds of the groups (speakers, recordings,
digits). Its interval for the accuracy on m new clips is compared with its accuracy on m random clips of the other groups. Every
head is `ridge:alpha=auto`, fitted by the evaluator's solver. The study takes about six minutes on two cores.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import jfewshot
from benchmarks.tools.measuring import write_json
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.evaluator.preprocessing import without_statistics
from jfewshot.heads.fitting import clip_means, head_spec
from jfewshot.heads.left_out import left_out_scores
from jfewshot.heads.solving import solve
from jfewshot.statistics.expected import expected_interval, outcomes_of
from jfewshot.store import Store

SPLITS = 25
NEW_CLIPS = (30, 60, None)  # None: all clips of the other groups


def splits_of(store: Store, n_splits: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the clips into clips to fit on and new clips, so that no group is in both.

    All splits have the same number of clips to fit on, so that little is compiled.

    Args:
      store: a store with groups.
      n_splits: number of splits.

    Returns:
      for each split, two arrays of places in the table of clips.
    """
    rng = np.random.default_rng(0)
    group = store.clips.group_number
    names = np.unique(group)
    found = []
    for _ in range(n_splits):
        inside = np.isin(group, rng.permutation(names)[: round(len(names) * 2 / 3)])
        found.append((rng.permutation(np.flatnonzero(inside)), np.flatnonzero(~inside)))
    least = min(len(fitted) for fitted, _ in found)
    return [(np.sort(fitted[:least]), new) for fitted, new in found]


def measure(store: Store, n_splits: int, new_clips: Sequence[int | None] = NEW_CLIPS) -> dict[str, Any]:
    """Coverage and width for one store.

    Args:
      store: the store.
      n_splits: number of splits.
      new_clips: numbers of new clips; None for all clips of the other groups.

    Returns:
      for each number of new clips, whether the interval of each split held the accuracy, and the width of the interval as a
      multiple of the width of a binomial interval.
    """
    rng = np.random.default_rng(1)
    spec = head_spec("ridge:alpha=auto")
    labels, groups = store.clips.class_number, store.clips.group_number
    n_classes = int(labels.max()) + 1
    found: dict[str, Any] = {str(m or "all"): {"covered": [], "ratio": []} for m in new_clips}
    off = []
    rows, transform = clip_means(store, "last.mean", store.clips, without_statistics("l2"), spec)
    assert transform.origin is not None
    for fitted, new in splits_of(store, n_splits):
        points = rows - rows[fitted].mean(0)
        own = points[fitted].astype(np.float64)
        gram = own @ own.T
        head = solve(gram, labels[fitted], n_classes, spec)
        scores = left_out_scores(gram, labels[fitted], groups[fitted], ("ridge", {}, head.strength))
        outcomes = outcomes_of(scores.argmax(1) == labels[fitted], groups[fitted])
        right = ((points[new] @ own.T) @ head.alpha + head.bias).argmax(1) == labels[new]
        off.append(float(right.mean() - outcomes.accuracy))
        for m in new_clips:
            chosen = rng.permutation(len(new))[:m]
            sizes = np.unique(groups[new][chosen], return_counts=True)[1].astype(float)
            n = len(chosen)
            low, high = expected_interval(outcomes, n, float((sizes**2).sum() / n))
            binomial = float(np.diff(stats.binom(n, outcomes.accuracy).ppf([0.025, 0.975]))[0]) / n
            cell = found[str(m or "all")]
            cell["covered"].append(bool(low - 1e-9 <= right[chosen].mean() <= high + 1e-9))
            cell["ratio"].append((high - low) / max(binomial, 1 / n))
    return {"dataset": store.dataset, "upstream": store.upstream, "off": float(np.mean(off)), **found}


def summary(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Coverage and median width over all cells and splits, and by dataset.

    Args:
      cells: the result of `measure`.
    """
    table: dict[str, Any] = {}
    for dataset in (None, *dict.fromkeys(cell["dataset"] for cell in cells)):
        own = [cell for cell in cells if dataset in (None, cell["dataset"])]
        table[dataset or "all datasets"] = {
            m: {
                "covered": round(float(np.mean([one for cell in own for one in cell[m]["covered"]])), 3),
                "median width, binomial 1": round(
                    float(np.median([one for cell in own for one in cell[m]["ratio"]])), 2
                ),
            }
            for m in own[0]
            if m not in ("dataset", "upstream", "off")
        }
    return table


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print the summary.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--splits", type=int, default=SPLITS, help="number of splits of each store")
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    cells = [measure(store, options.splits) for store in opened_samples()]
    brief = [
        {"dataset": cell["dataset"], "upstream": cell["upstream"], "accuracy off by": round(cell["off"], 4)}
        | {
            m: {
                "covered": round(float(np.mean(cell[m]["covered"])), 3),
                "ratio": round(float(np.median(cell[m]["ratio"])), 2),
            }
            for m in (str(m or "all") for m in NEW_CLIPS)
        }
        for cell in cells
    ]
    found = {
        "made_with": made_with("jax", "numpy", "scipy"),
        "splits": options.splits,
        "summary": summary(cells),
        "cells": brief,
    }
    write_json(options.json, found, a_line_each=True)
    sys.stdout.write(json.dumps(found["summary"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
