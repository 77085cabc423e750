"""How long do mteb's experiments on the sample stores take, in mteb and with `--protocol mteb`?

    python -m benchmarks.mteb_protocol --json benchmarks/measured/mteb_protocol.json

The command needs mteb (`pip install "mteb==2.26.*"`). It measures the time in which mteb fits and predicts one experiment, and
the time in which this project does the same. Both start from embeddings in memory. mteb is measured with one thread for BLAS and
with one thread per core. CPU seconds are reported as well as wall seconds, because other programs on the machine change them
less.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.tools.measuring import write_json
from benchmarks.tools.mteb_task import run_mteb
from benchmarks.tools.samples import opened_samples
from jfewshot._version import made_with
from jfewshot.cells.mteb import mteb_classifier, solve_mteb
from jfewshot.cells.planning import plan_cells
from jfewshot.episodes.mteb_draws import order_of
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.store import Store


def measured(store: Store, evaluator: Evaluator) -> dict[str, Any]:
    """Milliseconds of an experiment on one store.

    Args:
      store: the embeddings.
      evaluator: the evaluator, which all stores share.

    Returns:
      wall and CPU milliseconds of this project, and of mteb with one thread and with all threads.
    """
    protocol = Protocol.of_mteb(None, 42, None, None, None)
    (cell,) = plan_cells([store], [protocol], [mteb_classifier(False)], preprocessing="none")
    view, clips = store.view("last.mean"), store.clips
    drawn = evaluator.draw(cell.clips, cell.protocol, store.dataset)
    found: dict[str, Any] = {"dataset": store.dataset, "upstream": store.upstream, "dim": view.shape[1]}
    best = np.inf, np.inf
    for _ in range(3):
        started = time.perf_counter(), time.process_time()
        for _ in solve_mteb(view, cell, drawn, evaluator.memory_bytes, lambda episodes: None):
            pass
        taken = time.perf_counter() - started[0], time.process_time() - started[1]
        best = min(best, taken, key=lambda pair: pair[1])
    n = cell.protocol.n_episodes
    found["ours_ms"], found["ours_cpu_ms"] = (1000 * value / n for value in best)
    order = order_of(clips)
    rows, starts = clips.rows(order)
    sums = np.add.reduceat(np.asarray(view)[rows].astype(np.float64), starts, axis=0)
    embeddings = (sums / clips.n_segments[order][:, None]).astype(np.float32)
    for name, threads in (("mteb_one_thread", 1), ("mteb", os.cpu_count())):
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = run_mteb(clips.class_number[order], embeddings, None)
        found[f"{name}_ms"] = 1000 * float(np.median(theirs["seconds"]))
        found[f"{name}_cpu_ms"] = 1000 * float(np.median(theirs["cpu_seconds"]))
        found[f"{name}_total_ms"] = 1000 * theirs["total_s"] / n
        found["stopped"] = sum(iterations == 100 for iterations in theirs["iterations"])
    return found


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--datasets", nargs="+", help="sample datasets to measure; without this option, all of them")
    options = parser.parse_args()
    evaluator = Evaluator()
    rows = []
    for store in opened_samples():
        if not options.datasets or store.dataset in options.datasets:
            rows.append(measured(store, evaluator))
            print(json.dumps(rows[-1]), flush=True)
    found = {"rows": rows, "made_with": made_with("numpy", "scikit-learn", "mteb")}
    write_json(options.json, found, a_line_each=True)


if __name__ == "__main__":
    main()
