"""How long does a grid of many small cells take in addition to solving them: to run, to find it complete, and to report?

    python -m benchmarks.grid --cells 3200 --episodes 100
    python -m benchmarks.grid --cells 101400 --episodes 100 --fill
    python -m benchmarks.grid --cells 3200 --episodes 100 --ray 3

The grid is encoders x datasets x layers x shots x 10 strengths of `logistic`, on synthetic stores of 288 clips. Three commands
are measured, each in its own process: `jfewshot run`, the same command again when nothing is left to do, and `jfewshot report`.

With `--fill`, the grid is not solved. All records are copies of a few solved cells, with random predictions, and only the second
and the third command are meaningful. With `--ray N`, only `jfewshot run` is measured, in N rounds in turns: once in one process
with two devices, and once by two workers of one core each on a local Ray cluster. The predictions of both must be the same bytes.
"""

import argparse
import dataclasses
import json
import logging
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.child import Finished, run_child
from benchmarks.tools.measuring import machine, write_json
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.store import ClipTable, write_store

log = logging.getLogger(__name__)

N_CLASSES, CLIPS_PER_CLASS, DIM = 12, 24, 64
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_LARGE = 20_000  # a grid of more cells has the paper's ten datasets, 13 layers and 6 numbers of shots
_TIMEOUT_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a grid. Every grid has the strengths `STRENGTHS`."""

    encoders: int
    datasets: int
    layers: int
    shots: tuple[int, ...]

    @property
    def cells(self) -> int:
        """How many records the grid has."""
        return self.encoders * self.datasets * self.layers * len(self.shots) * len(STRENGTHS)


def shape_of(cells: int) -> Shape:
    """A grid of at least this many cells: 4 x 5 x 4 x 4 x 10 for 3,200, and 13 x 10 x 13 x 6 x 10 for 101,400."""
    one = Shape(1, 10, 13, (1, 2, 3, 4, 5, 8)) if cells > _LARGE else Shape(1, 5, 4, (1, 2, 4, 8))
    return dataclasses.replace(one, encoders=math.ceil(cells / one.cells))


def write_stores(folder: Path, shape: Shape) -> None:
    """Write the grid's stores below a folder. An embedding is the mean of its class plus noise; lower layers have more noise."""
    labels = np.repeat(np.arange(N_CLASSES), CLIPS_PER_CLASS)
    for dataset in range(shape.datasets):
        table = ClipTable.build(
            [f"set{dataset:02d}/{clip:04d}.wav" for clip in range(len(labels))], [f"class {c:02d}" for c in labels]
        )
        for encoder in range(shape.encoders):
            rng = np.random.default_rng([dataset, encoder])
            means = rng.standard_normal((N_CLASSES, DIM))
            views = {}
            for layer in range(shape.layers):
                noise = rng.standard_normal((len(labels), DIM)) * (1.2 + 0.1 * (shape.layers - layer))
                views[f"{layer}.mean"] = (means[labels] + noise).astype(np.float32)
            write_store(
                folder / f"set{dataset:02d}" / f"encoder{encoder:02d}",
                views=views,
                clips=table,
                dataset={"name": f"set{dataset:02d}"},
                upstream={"name": f"encoder{encoder:02d}"},
                preprocessing="none: synthetic embeddings, for timing",
            )


def run_arguments(stores: Path, results: Path, shape: Shape, episodes: int) -> list[str]:
    """The options of `jfewshot run` that evaluate the whole grid."""
    strengths = ",".join(f"{strength:g}" for strength in STRENGTHS)
    shots = [str(shot) for shot in shape.shots]
    views = [f"{layer}.mean" for layer in range(shape.layers)]
    options = ["--stores", str(stores), "--out", str(results), "--episodes", str(episodes), "--shots", *shots]
    return [*options, "--views", *views, "--classifiers", f"logistic:C={strengths}"]


def fill(arguments: list[str], results: Path) -> None:
    """Write a record for each cell of a grid without solving the grid.

    Args:
      arguments: the options of `jfewshot run`.
      results: the result folder.
    """
    from jfewshot.cells.computing import evaluate_cells
    from jfewshot.commandline.parsing import start
    from jfewshot.evaluator.evaluator import Evaluator
    from jfewshot.options import RunOptions
    from jfewshot.results import ResultFolder
    from jfewshot.run import _cells

    cells = _cells(start(RunOptions, arguments, "run"))
    folder = ResultFolder(results)
    evaluator = Evaluator()
    templates: dict[tuple[str, int], dict[str, Any]] = {}
    rng = np.random.default_rng(0)
    began, n_written = time.perf_counter(), 0
    for cell in cells:
        place = cell.store.dataset, cell.protocol.k_shot
        if place not in templates:
            one = dataclasses.replace(cell, spec=cell.spec._replace(strengths=cell.spec.strengths[:1]))
            templates[place] = next(evaluate_cells([one], evaluator, folder))[0]
            began, n_written = time.perf_counter() if not n_written else began, n_written
        template = {
            k: v for k, v in templates[place].items() if k not in ("format", "format_version", "key", "predictions")
        }
        names = {
            "upstream": dict(cell.store.manifest["upstream"]),
            "view": {"name": cell.view, "layer": cell.view.split(".")[0], "pooling": "mean", "dim": DIM},
            "store": {"path": str(cell.store.path), "digest": cell.store.digest},
        }
        protocol = cell.protocol
        true = np.repeat(np.arange(protocol.n_way, dtype=np.int8), protocol.n_query)
        for strength in cell.spec.strengths:
            wrong = rng.random((protocol.n_episodes, protocol.n_queries)) < 0.4
            predicted = np.where(wrong, rng.integers(protocol.n_way, size=wrong.shape), true).astype(np.int8)
            right = (predicted == true).mean(axis=1)
            accuracy = {"mean": float(right.mean()), "std": float(right.std()), "ci95": float(0.196 * right.std())}
            record = template | names | {"identity": cell.identity(strength)}
            folder.write_cell(record | {"accuracy": template["accuracy"] | accuracy}, predicted)
            n_written += 1
    if hasattr(folder, "close"):
        folder.close()
    print(json.dumps({"written": n_written, "s": time.perf_counter() - began}))


def measure(shape: Shape, episodes: int, filled: bool, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure the parts of a grid one after the other.

    Args:
      shape: sizes of the grid.
      episodes: number of episodes of each cell.
      filled: whether to write made-up records instead of running the grid.
      folder: an empty folder.

    Yields:
      The name of each part, and its measured numbers.

    Raises:
      UserError: if a part failed.
    """
    stores, results, report = folder / "stores", folder / "results", folder / "report"
    write_stores(stores, shape)
    arguments = run_arguments(stores, results, shape, episodes)
    if filled:
        done = _child("benchmarks.grid", "--fill-with", str(results), "--", *arguments)
        yield "fill", _facts(done, shape)
    else:
        done = _child("jfewshot.run", *arguments)
        found = _facts(done, shape)
        yield "run", found | _beside_solving(results, done.wall_s)
    yield "kept", _sizes(results)
    done = _child("jfewshot.run", *arguments)
    yield "resume", _facts(done, shape)
    done = _child("jfewshot.report", str(results), "--out", str(report))
    yield "report", _facts(done, shape) | {"page_bytes": (report / "index.html").stat().st_size} | _sizes(report)


def compare_with_ray(shape: Shape, episodes: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Measure one process with two devices and two workers of one core each on a local Ray cluster, in turns.

    Args:
      shape: sizes of the grid.
      episodes: number of episodes of each cell.
      rounds: how often each of the two is measured, after a first run that compiles.
      folder: an empty folder.

    Returns:
      The seconds of the whole command in each round, and the number of cells with different predictions.

    Raises:
      UserError: if a run failed.
    """
    from ray.cluster_utils import Cluster

    stores = folder / "stores"
    write_stores(stores, shape)
    two = {"JAX_NUM_CPU_DEVICES": "2"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    seconds: dict[str, list[float]] = {"two_devices": [], "two_workers": []}
    try:
        for number in range(rounds + 1):
            for name, found in seconds.items():
                out = folder / f"{name}-{number}"
                options = [] if name == "two_devices" else ["--ray", cluster.address]
                arguments = run_arguments(stores, out, shape, episodes)
                done = _child("jfewshot.run", *arguments, *options, environment=None if options else two)
                if number:
                    found.append(round(done.wall_s, 2))
    finally:
        cluster.shutdown()
    return {**seconds, "cells_that_differ": _cells_that_differ(folder / "two_devices-0", folder / "two_workers-0")}


def _cells_that_differ(one: Path, other: Path) -> int:
    from jfewshot.results import read_results

    first, second = (
        {record["key"]: record["predictions"]["sha256"] for record in read_results(folder).records}
        for folder in (one, other)
    )
    return sum(first.get(key) != second.get(key) for key in first.keys() | second.keys())


def _child(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    done = run_child([sys.executable, "-m", module, *arguments], _TIMEOUT_S, environment)
    if done.status != 0:
        raise UserError(f"{module}: {done.reason}")
    return done


def _facts(done: Finished, shape: Shape) -> dict[str, Any]:
    return {
        "wall_s": round(done.wall_s, 2),
        "ms_per_cell": round(1000 * done.wall_s / shape.cells, 3),
        "peak_own_gb": None if done.peak_own_bytes is None else round(done.peak_own_bytes / 2**30, 2),
        "peak_gb": None if done.peak_bytes is None else round(done.peak_bytes / 2**30, 2),
        "last_lines": [without_folders(line) for line in done.errors.strip().splitlines()[-3:]],
    }


def without_folders(line: str) -> str:
    """A message without the folders of this machine, because measured files are committed."""
    return re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", line)


def _beside_solving(results: Path, wall_s: float) -> dict[str, Any]:
    from jfewshot.results import read_results

    timing = [record["timing"] for record in read_results(results).records]
    solving = sum(one["wall_s"] for one in timing)
    compiling = sum(one["compile_s"] for one in timing)
    beside = wall_s - solving - compiling
    return {
        "solving_s": round(solving, 2),
        "compiling_s": round(compiling, 2),
        "beside_ms_per_cell": round(1000 * beside / len(timing), 3),
    }


def _sizes(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=3200, help="the grid has at least this many cells")
    parser.add_argument("--episodes", type=int, default=100, help="number of episodes of each cell")
    parser.add_argument("--fill", action="store_true", help="write made-up records instead of solving the grid")
    parser.add_argument(
        "--ray", type=int, default=None, metavar="N", help="compare with a local Ray cluster in N rounds"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="an empty folder in which to keep stores, results and report"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the measured numbers to this file")
    parser.add_argument("--fill-with", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill_with is not None:
        fill(options.rest, options.fill_with)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    shape = shape_of(options.cells)
    result: dict[str, Any] = {"machine": machine(), "cells": shape.cells, "shape": dataclasses.asdict(shape)}
    result["episodes"] = options.episodes
    with tempfile.TemporaryDirectory() as temporary:
        if options.ray is not None:
            result["ray"] = compare_with_ray(shape, options.episodes, options.ray, options.folder or Path(temporary))
            print(json.dumps(result["ray"]))
            write_json(options.json, result)
            return
        for part, found in measure(shape, options.episodes, options.fill, options.folder or Path(temporary)):
            result[part] = found
            print(f"{part}: {json.dumps(found)}", flush=True)
            write_json(options.json, result)


if __name__ == "__main__":
    run_cli(main)
