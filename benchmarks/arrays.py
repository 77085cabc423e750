"""How long one call of `jfewshot.evaluate_arrays` takes after the first, and the same evaluation through a store.

    python -m benchmarks.arrays --json benchmarks/measured/arrays_cpu.json

The data are 2,000 clips of 50 classes with 768 numbers each; a call solves 1,000 5-way episodes with `logistic`. Every call gets
new embeddings of the same clips, as in a training loop. The command reports the median time of a call and the smallest time: the
smallest time depends less on other programs that share the machine.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import jfewshot
from benchmarks.tools.measuring import markdown_table, write_json
from jfewshot.evaluator.evaluator import Evaluator

N_CLIPS, N_CLASSES, DIM = 2000, 50, 768


def measured(shots: int, n_calls: int, episodes: int) -> dict[str, Any]:
    """Milliseconds of calls with arrays and with a store.

    Args:
      shots: support clips per class.
      n_calls: number of measured calls. A first call, which compiles, comes before them and is not measured.
      episodes: number of episodes of each call.

    Returns:
      the median and the smallest time of both, and the accuracy, which must be the same for both.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(N_CLASSES), N_CLIPS // N_CLASSES)
    centres = rng.standard_normal((N_CLASSES, DIM), np.float32)
    options: dict[str, Any] = {"classifiers": "logistic", "shots": shots, "n_episodes": episodes}
    evaluator = Evaluator()
    milliseconds: dict[str, list[float]] = {"arrays": [], "store": []}
    accuracies: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for call in range(n_calls + 1):
            noise = rng.standard_normal((N_CLIPS, DIM), np.float32)
            embeddings = centres[labels] + 4 * noise
            started = time.perf_counter()
            (score,) = jfewshot.evaluate_arrays(embeddings, labels, **options)
            between = time.perf_counter()
            place = f"{folder}/{call}"
            store = jfewshot.create_store(place, embeddings, labels, dataset="clips", upstream="encoder")
            (record,) = jfewshot.evaluate(store, evaluator=evaluator, **options)
            taken = {"arrays": between - started, "store": time.perf_counter() - between}
            accuracies = {"arrays": score["accuracy"]["mean"], "store": record["accuracy"]["mean"]}
            if call:
                for name, seconds in taken.items():
                    milliseconds[name].append(1000 * seconds)
    assert accuracies["arrays"] == accuracies["store"]
    found = {"shots": shots, "accuracy": accuracies["arrays"]}
    for name, values in milliseconds.items():
        found |= {f"{name}_median_ms": statistics.median(values), f"{name}_least_ms": min(values)}
    return {name: round(value, 4 if name == "accuracy" else 1) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--calls", type=int, default=15, help="number of measured calls, after a first one that compiles"
    )
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    jfewshot.use_all_cores()
    rows = [measured(shots, options.calls, options.episodes) for shots in (1, 5)]
    cells = [[f"{value:g}" for value in row.values()] for row in rows]
    print(markdown_table(list(rows[0]), cells))
    settings = {
        "clips": N_CLIPS,
        "classes": N_CLASSES,
        "dim": DIM,
        "episodes": options.episodes,
        "calls": options.calls,
    }
    write_json(options.json, {"settings": settings, "rows": rows})


if __name__ == "__main__":
    main()
