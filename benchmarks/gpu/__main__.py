"""Measures speed and checks correctness on a GPU, in less than ten minutes and without downloads.

    python -m benchmarks.gpu --make-reference FILE        on a CPU: write the reference predictions
    python -m benchmarks.gpu --out FOLDER --reference FILE [--minutes 8]

The second command first compares predictions and drawn clips with those of the file. Then it measures, part by part, the most
important part first. Each part has its own process and its own time limit. The command rewrites FOLDER/results.json after every
row, so it may be stopped at any time. At the end, or on SIGTERM, it also writes a figure and a table.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.picture import draw_figure, name, rate, table
from benchmarks.tools.measuring import machine, write_json

_POLL_S = 0.2
_LOG_BYTES = 4000  # largest length of a failed part's messages in the results
_SPARE_S = 6.0  # seconds that are kept for drawing the figure


class Stopped(Exception):
    """The command received SIGTERM."""


class Benchmark:
    """Runs the parts, and updates the file of results after every row.

    Args:
      options: the options of the command line.
      scratch: folder for synthetic embeddings and for the rows of the parts.
    """

    def __init__(self, options: argparse.Namespace, scratch: Path):
        self._options, self._scratch = options, scratch
        self._started = time.perf_counter()
        self.rows: list[dict[str, Any]] = []
        self.parts: dict[str, dict[str, Any]] = {}
        self._machine = machine() | _gpu()

    def run(self) -> None:
        """Measure part after part until the time is up."""
        for part in self._options.parts or PARTS:
            left = 60 * self._options.minutes - _SPARE_S - (time.perf_counter() - self._started)
            if left < 8:
                self.parts[part] = {"ended": "not started: the time was up"}
                continue
            self._run_part(part, min(left, PARTS[part].limit_s))
        self.write()

    def write(self) -> None:
        """Write the file of results."""
        seconds = time.perf_counter() - self._started
        content = {"machine": self._machine, "seconds": seconds, "parts": self.parts, "rows": self.rows}
        write_json(self._options.out / "results.json", content)

    def finish(self) -> None:
        """Write results, table and figure, and print the table."""
        self.write()
        text = table(self.rows)
        text += "".join(
            f"{part}: {state['ended']}, {state.get('seconds', 0):.0f} s\n" for part, state in self.parts.items()
        )
        (self._options.out / "table.txt").write_text(text)
        print(text, flush=True)
        draw_figure(self.rows, f"{self._machine['gpu']}, {self._machine['date']}", self._options.out / "figure.png")

    def best_block(self) -> int | None:
        """The block size with the highest rate of whole calls in the sweep so far."""
        swept = [row for row in self.rows if row["part"] == "blocks" and rate(row, "call")]
        return max(swept, key=lambda row: rate(row, "call") or 0.0)["block"] if swept else None

    def _run_part(self, part: str, limit_s: float) -> None:
        started = time.perf_counter()
        rows_file, log = self._scratch / f"{part}.jsonl", self._options.out / "log.txt"
        command = [sys.executable, "-m", "benchmarks.gpu.one_part", part, "--rows", str(rows_file)]
        command += ["--scratch", str(self._scratch)]
        command += ["--reference", str(self._options.reference)] if self._options.reference else []
        command += ["--block", str(self.best_block())] if self.best_block() else []
        command += ["--tiny"] if self._options.tiny else []
        # Without preallocation the measured memory is the memory that is needed. Without the cache every first call compiles.
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_ENABLE_COMPILATION_CACHE": "false"}
        if PARTS[part].without_gpu:
            environment |= {"JAX_PLATFORMS": "cpu"}
        print(f"[{started - self._started:5.0f} s] {part}", flush=True)
        self.parts[part] = {"ended": "running"}
        before = log.stat().st_size if log.exists() else 0
        with open(log, "a") as errors:
            process = subprocess.Popen(command, stdout=errors, stderr=errors, env=environment)
        taken = 0
        try:
            while process.poll() is None and time.perf_counter() - started < limit_s:
                taken = self._take(rows_file, taken)
                time.sleep(_POLL_S)
            over = process.poll() is None
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            self._take(rows_file, taken)
        ended = "stopped at its time limit" if over else "finished"
        if not over and process.returncode:
            with open(log, "rb") as file:
                file.seek(max(before, log.stat().st_size - _LOG_BYTES))
                said = file.read().decode(errors="replace").strip()
            ended = f"exit status {process.returncode}"
            last = said.splitlines()[-1] if said else "no message"
            self.rows.append({"part": part, "side": "", "failed": f"{ended}: {last}"[:300], "traceback": said})
        self.parts[part] = {"ended": ended, "seconds": time.perf_counter() - started}
        self.write()

    def _take(self, rows_file: Path, taken: int) -> int:
        """Add the rows that the part has written since the last call; returns the number of all its rows so far."""
        # The text after the last newline is a row that is still being written.
        lines = rows_file.read_text().split("\n")[:-1] if rows_file.exists() else []
        for line in lines[taken:]:
            row = json.loads(line)
            self.rows.append(row)
            value = rate(row, "call", "steps", "solve", "kernel")
            if row["part"] != "check" or "failed" in row or row.get("different_clear"):
                said = row.get("failed") or (f"{value:,.1f}/s" if value else str(row.get("different_clear", "")))
                print(f"          {row['side']}: {name(row)}: {said}", flush=True)
        if len(lines) > taken:
            self.write()
        return len(lines)


def _gpu() -> dict[str, Any]:
    """The name of the GPU and the versions, read without starting CUDA in this process."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        gpu = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        gpu = "no GPU"
    versions: dict[str, str | None] = {}
    for package in ("jax", "jaxlib", "numpy", "torch", "flax"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {"gpu": gpu, "versions": versions}


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status: 1 if a clear prediction or a draw differs from the CPU's."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--make-reference",
        type=Path,
        metavar="FILE",
        help="write the reference predictions on this machine, and measure nothing",
    )
    parser.add_argument("--reference", type=Path, metavar="FILE", help="file of reference predictions to compare with")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=Path("results/gpu"),
        help="folder for results.json, the figure and the table",
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="start no measurement after this many minutes")
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), help="measure only these parts, in this order")
    parser.add_argument("--tiny", action="store_true", help="use small sizes, for a test on a CPU")
    options = parser.parse_args(arguments)
    if options.make_reference:
        from benchmarks.gpu.reference import TINY, make_reference
        from jfewshot.evaluator.devices import use_all_cores

        use_all_cores()
        choice = TINY if options.tiny else {}
        print(f"{make_reference(options.make_reference, **choice)} problems in {options.make_reference}")
        return 0
    if options.reference and not options.reference.exists():
        parser.error(f"--reference {options.reference}: no such file; make it with --make-reference on a CPU")
    options.out.mkdir(parents=True, exist_ok=True)

    def stop(number: int, frame: Any) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            benchmark = Benchmark(options, Path(scratch))
            try:
                benchmark.run()
            except (Stopped, KeyboardInterrupt):
                print("stopped; writing the measured rows", flush=True)
            finally:
                benchmark.finish()
    finally:
        signal.signal(signal.SIGTERM, before)
    wrong = any(row.get("different_clear") or row.get("same_draws") is False for row in benchmark.rows)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
