"""How long does the paper's whole table take, from stored embeddings to Table 3?

    python -m benchmarks.end_to_end --grid FOLDER [--classifiers sgd logistic] [--out FOLDER]

The stores are those of 13 upstreams on 10 datasets at their true sizes. If they do not exist, benchmarks/paper_grid.py writes
them first (27 GB). Each store is evaluated on 10,000 episodes by the command that a user runs:

    python -m jfewshot.run --stores GRID --protocol paper --split test --classifiers CLASSIFIER --markdown table.md

The reported time is the wall time of the whole command: start-up, reading, checking of digests, compilation, solving and writing.
The command runs twice: first with empty caches, then with the caches of the first run (compiled functions, and the digests of
files that have not changed). The table also reports the time of the original method, which fits one scikit-learn estimator after
the other on the same stores and clips. That time is extrapolated from some episodes of every dataset. It does not include the
encoder, which the original method runs again for every clip of every episode.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper_grid import write_grid
from benchmarks.suite.competitors.base import blas_threads
from benchmarks.suite.competitors.scikit_learn import estimator, fit_and_predict
from benchmarks.tools.child import run_child
from benchmarks.tools.measuring import machine, markdown_table, write_json
from jfewshot.commandline import run_cli
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.store import Store, open_store

log = logging.getLogger("benchmarks")


def our_table(
    stores: list[Path], classifier: str, episodes: int, out: Path, cache: Path, timeout_s: float
) -> dict[str, Any]:
    """Run `jfewshot run` with an empty result folder, and measure its time and memory.

    Args:
      stores: the folders of the stores.
      classifier: the classifier to evaluate.
      episodes: number of episodes of each store.
      out: folder for the table and for the results; results of an earlier call are removed first.
      cache: folder for compiled functions and for the digests of files that have not changed.
      timeout_s: seconds after which the command is stopped.
    """
    results = out / f"results-{classifier}"
    shutil.rmtree(results, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "jfewshot.run",
        "--stores",
        *map(str, stores),
        "--protocol",
        "paper",
        "--split",
        "test",
    ]
    command += ["--classifiers", classifier, "--episodes", str(episodes), "--out", str(results)]
    command += ["--markdown", str(out / f"table3-{classifier}.md")]
    child = run_child(command, timeout_s, {"JAX_COMPILATION_CACHE_DIR": str(cache), "XDG_CACHE_HOME": str(cache)})
    log.info("%s: %.1f s; %s", classifier, child.wall_s, next((x for x in child.errors.splitlines() if "/s" in x), ""))
    if child.status != 0:
        return {"failed": child.reason}
    said = [line for line in child.errors.splitlines() if "episodes" in line]
    return {
        "wall_s": child.wall_s,
        "peak_bytes": child.peak_bytes,
        "peak_own_bytes": child.peak_own_bytes,
        "said": said[-1] if said else "",
    }


def original_seconds_per_episode(store: Store, classifier: str, episodes: int) -> float:
    """Seconds per episode of the original method on one store: read, normalise, fit, predict every segment, vote."""
    from jfewshot.episodes.protocol import Protocol
    from jfewshot.evaluator.evaluator import Evaluator

    protocol = Protocol(n_query=1, n_episodes=episodes, split="test")
    drawn = Evaluator().draw(store.clips, protocol, store.dataset)
    view, clips, l2 = store.view(store.views[0]), store.clips, Transform("l2", unit_length=True)
    make, targets = estimator(classifier), np.arange(protocol.n_way)
    started = time.perf_counter()
    with blas_threads(1):
        for chosen, segment in zip(drawn.clips.astype(np.int64), drawn.segment, strict=True):
            support, query = chosen[:, 0], chosen[:, 1]
            rows = clips.first_segment[support] + (segment[:, 0] * clips.n_segments[support]).astype(np.int64)
            count = clips.n_segments[query]
            starts = np.repeat(clips.first_segment[query] - (np.cumsum(count) - count), count)
            answers = fit_and_predict(make, l2(view[rows]), targets, l2(view[starts + np.arange(count.sum())]))
            votes = np.zeros((protocol.n_way, protocol.n_way), np.int64)
            np.add.at(votes, (np.repeat(targets, count), answers), 1)
            votes.argmax(1)
    return (time.perf_counter() - started) / episodes


def measure(
    stores: list[Path], classifier: str, episodes: int, sample: int, runs: int, out: Path, timeout_s: float
) -> dict[str, Any]:
    """Measure one classifier, which is one row of the table.

    Args:
      stores: the folders of the stores.
      classifier: the classifier to evaluate.
      episodes: number of episodes of each store.
      sample: number of episodes of each dataset that the original method solves.
      runs: 1 to run the command with empty caches only, 2 to run it also with the caches of the first run.
      out: folder for tables and results.
      timeout_s: seconds after which a run is stopped.
    """
    opened = [open_store(path) for path in _a_store_per_dataset(stores)]
    log.info("%s: the original method, %d episodes of each of %d datasets", classifier, sample, len(opened))
    per_episode = [original_seconds_per_episode(store, classifier, sample) for store in opened]
    with tempfile.TemporaryDirectory() as cache:
        ours = [our_table(stores, classifier, episodes, out, Path(cache), timeout_s) for _ in range(runs)]
    total = len(stores) * episodes
    row = {
        "classifier": classifier,
        "cells": len(stores),
        "episodes": total,
        "runs": ours,
        "original_s": float(np.mean(per_episode)) * total,
        "original_ms_per_episode": {store.dataset: 1000 * x for store, x in zip(opened, per_episode, strict=True)},
    }
    return row | ({"ratio": row["original_s"] / ours[0]["wall_s"]} if "wall_s" in ours[0] else {})


def _a_store_per_dataset(stores: list[Path]) -> list[Path]:
    """One store of each dataset: the original method's time does not depend on the upstream."""
    by_dataset: dict[str, Path] = {}
    for path in stores:
        by_dataset.setdefault(path.parent.name, path)
    return list(by_dataset.values())


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    headings = ["classifier", "cells", "episodes", "first run, s", "second run, s", "memory, peak (own), GB"]
    headings += ["the original, extrapolated, h", "ratio"]
    return markdown_table(headings, [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> list[str]:
    def seconds(run: dict[str, Any]) -> str:
        return f"{run['wall_s']:.1f}" if "wall_s" in run else run["failed"]

    first = row["runs"][0]
    memory = "–"
    if first.get("peak_bytes"):
        memory = f"{first['peak_bytes'] / 1e9:.1f} ({first['peak_own_bytes'] / 1e9:.1f})"
    return [
        f"`{row['classifier']}`",
        f"{row['cells']}",
        f"{row['episodes']:,}",
        seconds(first),
        seconds(row["runs"][1]) if len(row["runs"]) > 1 else "–",
        memory,
        f"{row['original_s'] / 3600:.1f}",
        f"{row['ratio']:,.0f}" if "ratio" in row else "–",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--grid", type=Path, required=True, help="folder of the stores; missing stores are written first"
    )
    parser.add_argument("--classifiers", nargs="+", default=["sgd", "logistic"])
    parser.add_argument("--episodes", type=int, default=10_000, help="number of episodes of each store")
    parser.add_argument(
        "--sample", type=int, default=50, help="episodes of each dataset that the original method solves"
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of each dataset's clips in the stores (0 to 1)")
    parser.add_argument("--upstreams", type=int, help="use only the first N of the 13 upstreams")
    parser.add_argument(
        "--runs",
        type=int,
        choices=(1, 2),
        default=2,
        help="2: run the command a second time with the caches of the first run",
    )
    parser.add_argument(
        "--timeout-s", type=float, default=3600.0, help="stop a run that takes longer than this many seconds"
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/end_to_end"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("jax").setLevel(logging.WARNING)
    stores = list(write_grid(options.grid, options.share, n_upstreams=options.upstreams))
    log.info("%d stores", len(stores))
    options.out.mkdir(parents=True, exist_ok=True)
    here = machine()
    rows = []
    for classifier in options.classifiers:
        # The file's name holds all settings, so that the same command continues after it was stopped, with the next classifier.
        path = options.out / f"{classifier}-{len(stores)}x{options.episodes}-{options.share:g}-{options.runs}.json"
        if not path.exists():
            row = measure(
                stores, classifier, options.episodes, options.sample, options.runs, options.out, options.timeout_s
            )
            write_json(path, {"machine": here, "share": options.share, "row": row})
        rows.append(json.loads(path.read_text())["row"])
    text = f"{here['cores']} cores of {here['processor']}, {here['date']}\n\n{table(rows)}\n"
    write_json(options.out / "end_to_end.json", {"machine": here, "share": options.share, "rows": rows})
    (options.out / "end_to_end.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    run_cli(main)
