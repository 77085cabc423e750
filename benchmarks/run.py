"""The benchmark suite: how fast is the evaluator on this machine, and how fast are other libraries on the same episodes?"""

import dataclasses
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.suite.competitors import COMPETITORS
from benchmarks.suite.figure import draw_figure
from benchmarks.suite.rows import GRIDS, OURS, PER_EPISODE, Row
from benchmarks.suite.table import question_of, render
from benchmarks.tools.child import run_child
from benchmarks.tools.measuring import machine, write_json
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

log = logging.getLogger("benchmarks")
# JAX keeps a compiled function on disk only if compiling it took at least this many seconds. Each row runs in its own process,
# and would compile all functions again without this cache.
_CACHE_FROM_S = "0.1"  # the same as in jfewshot.run


@dataclasses.dataclass(frozen=True)
class Suite:
    """Compare the speed of jfewshot with scikit-learn, PyTorch, easyfsl and cuML on the same episodes, and report what limits it.

    Every row of the table is measured in its own process. First the predictions of both sides are compared. Then the competitor's
    best number of threads and best chunk size are found. Then jfewshot and the competitor are timed in turns. The competitor uses
    the episodes that jfewshot drew, so the time of drawing is added to the competitor's time. The ratio is the median over the
    rounds. Rows that the folder already holds are not measured again, so the same command continues after it was stopped. The
    tables and the figure show every row of the folder. Close other programs first, because they slow the measured ones down.

    Examples:
      python -m benchmarks.run --quick                          # less than ten minutes on 2 cores
      python -m benchmarks.run --selection headline --minutes 8 # the numbers that the documentation quotes
      python -m benchmarks.run                                  # the whole grid, some hours on 2 cores
      python -m benchmarks.run --classifiers sgd --competitors scikit-learn
      python -m benchmarks.run --device gpu --minutes 9         # one call on a GPU machine
    """

    selection: Literal["quick", "headline", "full"] = "full"
    """Which rows to measure. quick: one kind of episode for each classifier, with every competitor, in short rounds. headline:
    `logistic` compared with scikit-learn and the fastest PyTorch versions, on small and large stores and with many shots, the
    most important rows first. full: all rows."""
    quick: bool = False
    """Another name for --selection quick."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Device of jfewshot and of PyTorch. auto: a GPU if JAX finds one, otherwise the CPU."""
    classifiers: tuple[str, ...] = ()
    """Measure only these classifiers."""
    competitors: tuple[str, ...] = ()
    """Measure only these competitors. "jfewshot" stands for the rows without a competitor."""
    ways: tuple[int, ...] = ()
    """Measure only episodes with these numbers of ways."""
    shots: tuple[int, ...] = ()
    """Measure only episodes with these numbers of shots."""
    dims: tuple[int, ...] = ()
    """Measure only embeddings with these dimensions."""
    segments: tuple[int, ...] = ()
    """Measure only stores with these numbers of segments (the full selection has 400, 20000 and 300000)."""
    rounds: int | None = None
    """How often each side is timed (default: 5; quick: 3)."""
    seconds: float | None = None
    """About how long a competitor works in each round, in seconds. The competitor solves as many episodes as fit into this time
    (default: 1; quick and headline: 0.3)."""
    episodes: int | None = None
    """Episodes that jfewshot solves in one call (default: 10,000, and 100,000 in some rows). With more than 100 supports a call
    has at most 512 episodes, and 64 with `sgd`."""
    minutes: float | None = None
    """Stop after this many minutes. The next run measures the unfinished row again."""
    row_timeout_s: float = 600.0
    """Stop a row that takes longer than this many seconds. The table reports that the row was stopped."""
    out: Path = Path("results/benchmarks")
    """Folder for the measured rows, table.md, results.json and speed.png."""
    scratch: Path | None = None
    """Folder for embeddings, which rows share (the largest store has 1.2 GB); by default a temporary folder."""
    again: bool = False
    """Also measure the rows that the folder already holds."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit status."""
    options = tyro.cli(Suite, prog="python -m benchmarks.run", args=arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return run(options)


def run(options: Suite) -> int:
    """Measure the rows that are missing, and write table, JSON and figure after every row."""
    ends = math.inf if options.minutes is None else time.perf_counter() + 60 * options.minutes
    device = _device(options.device)
    rows = _rows(options)
    here = machine() | {"device": device}
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.out / "rows"
    results = {path.name: json.loads(path.read_text()) for path in folder.glob(f"*-{device}.json")}
    results = {name: result for name, result in results.items() if _comparable(result)}
    left = 0
    # Rows with a competitor may use programs that earlier rows compiled. Rows without one report the time of a first call, and
    # may not.
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as shared:
        scratch = options.scratch or Path(temporary)
        for number, row in enumerate(rows, 1):
            path = folder / f"{row.key}-{device}.json"
            # A row that failed is tried again: it may have lacked time, memory or a package.
            if path.name in results and not options.again and "failed" not in results[path.name]:
                continue
            time_left = ends - time.perf_counter()
            if time_left <= 0:
                left += 1
                continue
            log.info("[%d/%d] %s", number, len(rows), _name(row))
            result = {
                **row.identity(),
                **_measure(row, options, device, scratch, Path(shared), time_left),
                "machine": here,
            }
            if "failed" in result and time.perf_counter() >= ends:
                left += 1
                continue
            write_json(path, result)
            results[path.name] = result
            log.info("        %s", _in_short(result))
            _write(options.out, results, here)
    if left:
        log.info("the time is up and %d of %d rows are left; run the same command again to continue", left, len(rows))
    _write(options.out, results, here)
    sys.stdout.write((options.out / "table.md").read_text())
    return 0


def _comparable(result: dict[str, Any]) -> bool:
    """Whether a row can be compared with new rows: older rows did not add the time of drawing to the competitor's time."""
    known = result["competitor"] in (OURS, *COMPETITORS)
    return known and ("ratio" not in result or "drawing" in result)


def _order(result: dict[str, Any]) -> tuple[Any, ...]:
    """Sort key of a row in the tables: classifier, store, episode, then competitor."""
    question = question_of(result)
    competitors = (OURS, *COMPETITORS)
    return (
        tuple(PER_EPISODE).index(question.classifier),
        *(question.segments, question.dim, question.n_way, question.k_shot, question.n_query, question.n_episodes),
        competitors.index(result["competitor"]),
    )


def _name(row: Row) -> str:
    question = row.question
    store = f"{question.segments:,} x {question.dim}"
    return f"{question.classifier}, {question.episode}, {store}, {question.n_episodes:,} per call: {row.competitor}"


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
        _with_episodes(row, options.episodes)
        for row in GRIDS[_selection(options)]()
        if (not options.competitors or row.competitor in options.competitors)
        and all(not wanted or getattr(row.question, name) in wanted for name, wanted in chosen.items())
    ]
    if not rows:
        raise UserError("no row is left by the options that select rows, taken together; widen one of them")
    return list(dict.fromkeys(rows))


def _selection(options: Suite) -> str:
    return "quick" if options.quick else options.selection


def _with_episodes(row: Row, episodes: int | None) -> Row:
    question = row.question
    wanted = min(episodes or question.n_episodes, question.most_episodes)
    return dataclasses.replace(row, question=dataclasses.replace(question, n_episodes=wanted))


def _measure(
    row: Row, options: Suite, device: str, scratch: Path, shared: Path | None = None, time_left: float = math.inf
) -> dict[str, Any]:
    """Measure a row in its own process.

    Args:
      row: the row.
      options: the options of the command line.
      device: "cpu" or "gpu".
      scratch: folder for embeddings.
      shared: folder for compiled programs of jfewshot, which rows with a competitor share; None for a new folder.
      time_left: seconds after which the row is stopped, if `--row-timeout-s` is larger.
    """
    if row.competitor != OURS and (reason := COMPETITORS[row.competitor].unavailable(device)):
        return {"skipped": reason}
    selection = _selection(options)
    rounds = options.rounds or (3 if selection == "quick" else 5)
    seconds = options.seconds or (1.0 if selection == "full" else 0.3)
    timeout_s = min(options.row_timeout_s, time_left)
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
            "JAX_COMPILATION_CACHE_DIR": cache if row.competitor == OURS or shared is None else str(shared),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": _CACHE_FROM_S,
            # Without this setting JAX takes most of the GPU's memory at its start, and torch needs some of it.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        } | ({"JAX_PLATFORMS": "cpu"} if device == "cpu" else {})
        # A new folder, so that a first call does compile. A user who sets the variable keeps torch's compiled code.
        environment.setdefault("TORCHINDUCTOR_CACHE_DIR", os.environ.get("TORCHINDUCTOR_CACHE_DIR", cache))
        child = run_child(command, timeout_s, environment)
        if child.result is None:
            return {"failed": child.reason}
        result = {**child.result, "process_s": child.wall_s, "process_peak_bytes": child.peak_bytes}
        if row.competitor == OURS:
            # A second process, which finds the programs that the first one compiled.
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
    return (
        f"{_median(result['ours']):,.0f}/s, limited by {result['bound']} ({result['share_of_limit']:.0%} of the limit)"
    )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _write(out: Path, measured: Mapping[str, dict[str, Any]], here: dict[str, Any]) -> None:
    results = sorted(measured.values(), key=_order)
    write_json(out / "results.json", {"machine": here, "rows": results})
    (out / "table.md").write_text(render(results, here))
    draw_figure(results, here, out / "speed.png")


if __name__ == "__main__":
    run_cli(main)
