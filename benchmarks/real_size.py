"""How close does the evaluator come to the speed of the memory on a store of hundreds of thousands of segments?

    python -m benchmarks.real_size [--segments 300000] [--shots 1 5] [--classifier logistic] [--mapped] [--json FILE]

Several programs ("sides") work on the same episodes in turns, each in its own process:

- ours: the evaluator, from drawing the episodes to predictions on the host;
- products: NumPy on all cores takes the rows of each episode and multiplies them with the rows of the supports, and does nothing
  else;
- reading: a compiled loop on all cores reads the rows of each episode once, and does nothing else;
- torch Gram, torch features: the suite's competitors, with the normalised store in memory.

Rates are episodes per second of wall time, medians of rounds. Processor seconds per episode are reported too: other programs
on the machine change them less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.rows import Question
from benchmarks.tools.measuring import machine, markdown_table, ratio, write_json
from jfewshot.threads import cores

SIDES = ("ours", "products", "reading", "torch Gram", "torch features")
_REST_S = 0.2  # pause between two sides: threads of BLAS and OpenMP keep a core busy for a while after their work


def work_of(side: str, question: Question, scratch: Path, mapped: bool, dtype: str) -> Callable[[], int]:
    """A function that does the work of one side once, and returns the number of episodes of that work."""
    import dataclasses

    from benchmarks.suite.competitors.base import Setting
    from benchmarks.suite.problem import load_problem

    problem = load_problem(question, scratch)
    view = problem.view if dtype == "float32" else problem.view.astype(dtype)
    if mapped:
        path = scratch / f"mapped-{question.segments}x{question.dim}-{dtype}.npy"
        if not path.exists():
            partial = path.with_name(f"{os.getpid()}-{path.name}")
            np.save(partial, view)
            partial.replace(path)
        view = np.load(path, mmap_mode="r")
    problem = dataclasses.replace(problem, view=view)
    if side == "ours":
        from benchmarks.suite.ours import our_solver

        solve, _ = our_solver(problem)
        return lambda: len(solve())
    if side.startswith("torch"):
        from benchmarks.suite.competitors import COMPETITORS

        competitor = COMPETITORS[side]
        rates = {}
        for chunk in competitor.chunks:
            solver = competitor.make(problem, "cpu", Setting(cores(), chunk))
            episodes = max(chunk, min(2048, question.n_episodes))
            solver(episodes)
            started = time.perf_counter()
            solver(episodes)
            rates[chunk] = episodes / (time.perf_counter() - started), solver
        _, solver = max(rates.values(), key=lambda found: found[0])
        return lambda: len(solver(min(4096, question.n_episodes)))
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    rows = np.concatenate([problem.support, problem.query], 1)
    each = _products if side == "products" else _reader()
    view, n_support, pool = np.asarray(view), question.n_support, ThreadPoolExecutor(cores())
    parts = np.array_split(rows, 16 * cores())
    return lambda: sum(pool.map(lambda part: each(view, part, n_support), parts))


def _products(view: np.ndarray, rows: np.ndarray, n_support: int) -> int:
    taken = np.empty((rows.shape[1], view.shape[1]), view.dtype)
    for episode in rows:
        np.take(view, episode, 0, out=taken, mode="clip")
        taken @ taken[:n_support].T
    return len(rows)


def _reader():
    import numba

    @numba.njit(nogil=True, fastmath=True)
    def read(bits, rows):
        total = bits.dtype.type(0)
        for episode in rows:
            for row in episode:
                of_row = bits[row]
                for k in range(len(of_row)):
                    total += of_row[k]
        return total

    def each(view: np.ndarray, rows: np.ndarray, n_support: int) -> int:
        read(view if view.dtype == np.float32 else view.view(np.uint16), rows)
        return len(rows)

    return each


class Side:
    """One side, in its own process, which works once for every call of `turn`."""

    def __init__(self, name: str, arguments: list[str]):
        command = [sys.executable, "-m", "benchmarks.real_size", "--side", name, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self) -> dict[str, float]:
        """Let the process work once; returns its rate and its processor time per episode."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a side ended with status {self._process.wait()}; its message is above")
        return json.loads(line)

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(work: Callable[[], int]) -> None:
    """Work once for every line of standard input, and write the rate to standard output."""
    work()
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        episodes = work()
        answer = {
            "rate": episodes / (time.perf_counter() - wall),
            "processor_us": 1e6 * (time.process_time() - processor) / episodes,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def measure(question: Question, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure all sides in turns on one question."""
    arguments = ["--scratch", str(scratch), "--segments", str(question.segments), "--dim", str(question.dim)]
    arguments += ["--shots", str(question.k_shot), "--queries", str(question.n_query), "--ways", str(question.n_way)]
    arguments += ["--classifier", question.classifier, "--episodes", str(question.n_episodes), "--dtype", options.dtype]
    arguments += ["--mapped"] if options.mapped else []
    load = os.getloadavg()[0]
    sides = {}
    for name in options.sides:
        sides[name] = Side(name, arguments)
        sides[name].turn()
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            time.sleep(_REST_S)
            turns[name].append(side.turn())
    for side in sides.values():
        side.end()
    rates = {name: [turn["rate"] for turn in found] for name, found in turns.items()}
    return {
        "question": question.__dict__,
        "dtype": options.dtype,
        "mapped": options.mapped,
        "load_before": load,
        "rates": rates,
        "processor_us": {name: [turn["processor_us"] for turn in found] for name, found in turns.items()},
        "ours_over": {name: ratio(rates["ours"], rates[name]) for name in rates if "ours" in rates and name != "ours"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=300_000, help="number of segments of the store, one per clip")
    parser.add_argument("--dim", type=int, default=768, help="dimension of the embeddings")
    parser.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="type of the stored embeddings"
    )
    parser.add_argument("--ways", type=int, default=5, help="classes per episode")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5], help="supports of each class")
    parser.add_argument("--queries", type=int, default=15, help="queries of each class")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--episodes", type=int, default=10_000, help="episodes that our side solves in one call")
    parser.add_argument("--mapped", action="store_true", help="read the store from a mapped file, not from memory")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=Path, help="folder for embeddings; by default a temporary folder")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    questions = [
        Question(
            options.classifier, options.ways, shot, options.queries, options.dim, options.segments, options.episodes
        )
        for shot in options.shots
    ]
    if options.side:
        from jfewshot.evaluator.devices import use_all_cores

        use_all_cores()
        serve(work_of(options.side, questions[0], options.scratch, options.mapped, options.dtype))
        return
    with tempfile.TemporaryDirectory() as temporary:
        results = [measure(question, options, options.scratch or Path(temporary)) for question in questions]
    here = machine()
    headings = [
        "episode",
        "side",
        "episodes/s",
        "smallest–largest",
        "processor µs per episode",
        "ours is so many times as fast",
    ]
    rows = []
    for question, result in zip(questions, results, strict=True):
        for name, rates in result["rates"].items():
            times = result["ours_over"].get(name)
            rows.append(
                [
                    question.episode,
                    name,
                    f"{np.median(rates):,.0f}",
                    f"{min(rates):,.0f}–{max(rates):,.0f}",
                    f"{np.median(result['processor_us'][name]):.1f}",
                    f"{times[0]:.2f} ({times[1]:.2f}–{times[2]:.2f})" if times else "–",
                ]
            )
    store = f"{options.segments:,} x {options.dim} {options.dtype}, {'mapped file' if options.mapped else 'in memory'}"
    sys.stdout.write(
        f"{store}, `{options.classifier}`, {here['cores']} cores of {here['processor']}, {here['date']}\n\n"
    )
    sys.stdout.write(markdown_table(headings, rows) + "\n")
    write_json(options.json, {"machine": here, "results": results})


if __name__ == "__main__":
    main()
