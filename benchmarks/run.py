"""The benchmark suite: how fast is the evaluator, beside whom, on this machine?"""

import dataclasses
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.suite.competitors import COMPETITORS
from benchmarks.suite.figure import draw_figure
from benchmarks.suite.rows import OURS, Row, full_grid, quick_grid
from benchmarks.suite.table import render
from benchmarks.tools.child import run_child
from benchmarks.tools.measuring import machine, write_json
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

log = logging.getLogger("benchmarks")
# What is measured in a row's own process is lost with it; so are its compiled functions, unless they are kept here.
_CACHE_FROM_S = "0.1"  # as jfewshot.run has it


@dataclasses.dataclass(frozen=True)
class Suite:
    """Measure jfewshot beside scikit-learn, PyTorch, easyfsl and cuML on the same episodes, and say what bounds it.

    Every row runs in a process of its own: predictions are compared first, then each competitor's best number of threads (and
    chunk size) is found, then ours and theirs are timed in turns. The ratio is the median over rounds. Rows that are there
    already are not measured again: a killed run continues. Close other programs: they are measured too.

    Examples:
      python -m benchmarks.run --quick                          # a couple of minutes
      python -m benchmarks.run                                  # the whole grid, an hour or two on 2 cores
      python -m benchmarks.run --classifiers sgd --competitors scikit-learn
      python -m benchmarks.run --device gpu --minutes 9         # one call on a GPU machine
    """

    quick: bool = False
    """One episode for each classifier, shorter rounds."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where ours and PyTorch run; auto: a GPU if JAX finds one."""
    classifiers: tuple[str, ...] = ()
    """Only the rows about these."""
    competitors: tuple[str, ...] = ()
    """Only these competitors ("jfewshot": ours alone)."""
    ways: tuple[int, ...] = ()
    """Only episodes of so many ways."""
    shots: tuple[int, ...] = ()
    """Only episodes of so many shots."""
    dims: tuple[int, ...] = ()
    """Only embeddings of so many dimensions."""
    segments: tuple[int, ...] = ()
    """Only stores of so many segments (the grid has 400, 20000 and 300000)."""
    rounds: int | None = None
    """How often each is timed (default: 5; quick: 3)."""
    seconds: float | None = None
    """How long a competitor works per round, about; it solves as many of the episodes as that takes (default: 1; quick: 0.3)."""
    episodes: int = 10_000
    """Episodes that ours solves at once (with more than 100 supports, at most 512; `sgd`: 64)."""
    minutes: float | None = None
    """Start no row after so many minutes."""
    row_timeout_s: float = 600.0
    """Stop a row that takes longer; it is reported as such."""
    out: Path = Path("results/benchmarks")
    """Rows, table.md, results.json and speed.png."""
    scratch: Path | None = None
    """Where embeddings are kept from row to row (the largest: 1.2 GB); by default a temporary folder."""
    again: bool = False
    """Measure rows anew that are there."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    options = tyro.cli(Suite, prog="python -m benchmarks.run", args=arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return run(options)


def run(options: Suite) -> int:
    """Measure what is missing; write table, JSON and figure after every row."""
    started = time.perf_counter()
    device = _device(options.device)
    rows = _rows(options)
    here = machine() | {"device": device}
    options.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    left = 0
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        for number, row in enumerate(rows, 1):
            path = options.out / "rows" / f"{row.key}-{device}.json"
            found = json.loads(path.read_text()) if path.exists() else None
            # What failed may have lacked time, memory or a package: it is tried again.
            if found and not options.again and "failed" not in found:
                results.append(found)
                continue
            if options.minutes is not None and time.perf_counter() - started > 60 * options.minutes:
                left += 1
                continue
            log.info("[%d/%d] %s", number, len(rows), _name(row))
            result = {**row.identity(), **_measure(row, options, device, scratch), "machine": here}
            write_json(path, result)
            results.append(result)
            log.info("        %s", _in_short(result))
            _write(options.out, results, here)
    if left:
        log.info("time is up with %d of %d rows to go; the same command continues", left, len(rows))
    _write(options.out, results, here)
    sys.stdout.write((options.out / "table.md").read_text())
    return 0


def _name(row: Row) -> str:
    question = row.question
    store = f"{question.segments:,} x {question.dim}"
    return f"{question.classifier}, {question.episode}, {store}: {row.competitor}"


def _rows(options: Suite) -> list[Row]:
    for name in options.competitors:
        if name != OURS and name not in COMPETITORS:
            raise UserError(f"no competitor '{name}'; there are {', '.join((OURS, *COMPETITORS))}")
    chosen = {
        "classifier": options.classifiers,
        "n_way": options.ways,
        "k_shot": options.shots,
        "dim": options.dims,
        "segments": options.segments,
    }
    rows = [
        Row(
            dataclasses.replace(row.question, n_episodes=min(options.episodes, row.question.most_episodes)),
            row.competitor,
        )
        for row in (quick_grid() if options.quick else full_grid())
        if (not options.competitors or row.competitor in options.competitors)
        and all(not wanted or getattr(row.question, name) in wanted for name, wanted in chosen.items())
    ]
    if not rows:
        raise UserError("no row is left by the options that choose rows together; widen one of them")
    return rows


def _measure(row: Row, options: Suite, device: str, scratch: Path) -> dict[str, Any]:
    if row.competitor != OURS and (reason := COMPETITORS[row.competitor].unavailable(device)):
        return {"skipped": reason}
    rounds = options.rounds or (3 if options.quick else 5)
    seconds = options.seconds or (0.3 if options.quick else 1.0)
    command = [
        sys.executable,
        "-m",
        "benchmarks.suite.one_row",
        "--row",
        json.dumps(row.identity()),
        "--scratch",
        str(scratch),
    ]
    command += ["--device", device, "--rounds", str(rounds), "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": _CACHE_FROM_S,
            # Torch shares the GPU with us.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        } | ({"JAX_PLATFORMS": "cpu"} if device == "cpu" else {})
        # So that first calls are first; a user who wants torch's compiled code kept says where.
        environment.setdefault("TORCHINDUCTOR_CACHE_DIR", os.environ.get("TORCHINDUCTOR_CACHE_DIR", cache))
        child = run_child(command, options.row_timeout_s, environment)
        if child.result is None:
            return {"failed": child.reason}
        result = {**child.result, "process_s": child.wall_s, "process_peak_bytes": child.peak_bytes}
        if row.competitor == OURS:
            # Once more, with what the first process compiled.
            second = run_child([*command[:-4], "--rounds", "1", "--seconds", "0"], options.row_timeout_s, environment)
            result["second_process_first_call_s"] = None if second.result is None else second.result["first_call_s"]
    return result


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    probe = run_child(
        [sys.executable, "-c", "import jax; print(repr(jax.default_backend()).replace(\"'\", '\"'))"], 120
    )
    return "gpu" if probe.status == 0 and "gpu" in probe.output else "cpu"


def _in_short(result: dict[str, Any]) -> str:
    for word in ("skipped", "failed"):
        if word in result:
            return f"{word}: {result[word]}"
    if "ratio" in result:
        return f"ours {_median(result['ours']):,.0f}/s, theirs {_median(result['theirs']):,.0f}/s, ratio {result['ratio']:,.3g}"
    return f"{_median(result['ours']):,.0f}/s, bound by {result['bound']} ({result['share_of_limit']:.0%} of the limit)"


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _write(out: Path, results: list[dict[str, Any]], here: dict[str, Any]) -> None:
    write_json(out / "results.json", {"machine": here, "rows": results})
    (out / "table.md").write_text(render(results, here))
    draw_figure(results, here, out / "speed.png")


if __name__ == "__main__":
    run_cli(main)
