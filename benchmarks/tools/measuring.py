"""Compares speeds on a machine whose load varies: measures several times, in turns, and takes medians and ratios."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.files import atomic_write
from jfewshot.threads import cores

_LOAD = os.getloadavg()[0] if hasattr(os, "getloadavg") else None

# Threads of BLAS and OpenMP keep cores busy for tens of milliseconds after their work, which would slow the next measurement.
_REST_S = 0.2


def in_turns(rates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure several functions in turns (A B C A B C ...) after one unmeasured round, with a pause before each measurement.

    Args:
      rates: functions that do their work once, and return a rate per second.
      rounds: how often each function is measured.

    Returns:
      the rates of each function by name, in the order of the rounds. The i-th rates of all functions come from the same round.
    """
    for measure in rates.values():
        measure()
    measured: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(rounds):
        for name, measure in rates.items():
            time.sleep(_REST_S)
            measured[name].append(measure())
    return measured


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest ratio of rates of the same round."""
    ratios = np.array(ours) / np.array(theirs)
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def timed(work: Callable[[], Any], count: int) -> float:
    """Call `work` once; returns `count` divided by the seconds that the call took."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def machine() -> dict[str, Any]:
    """Describes this machine and this moment: processor, cores, load, Python version, date and commit."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
    }


def provenance() -> dict[str, Any]:
    """Where the numbers of a file come from: the command and the machine, with the load at the command's start."""
    spec = sys.modules["__main__"].__spec__
    module = spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name
    load = None if _LOAD is None else round(_LOAD, 2)
    return {"command": shlex.join(["python", "-m", module, *sys.argv[1:]])} | machine() | {"load_before": load}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _commit() -> str | None:
    """The commit that was measured; None without git."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def write_json(
    path: Path | None, result: Mapping[str, Any], a_line_each: bool = False, parts: Sequence[str] = ()
) -> None:
    """Write a result and its provenance.

    Args:
      path: the file to write; None to write nothing.
      result: the measured numbers.
      a_line_each: whether each value at the third level of nesting is written on a single line, so that each cell of a study has
        one line of the file.
      parts: names of the parts of the result that this command measured, for a file that several commands fill. The provenance
        then has an entry for each part, and `result["provenance"]` must hold the entries of the parts that were in the file
        before.
    """
    if path is None:
        return
    origin = provenance()
    if parts:
        before = {part: of for part, of in result.get("provenance", {}).items() if isinstance(of, dict)}
        origin = {**before, **dict.fromkeys(parts, origin)}
    text = json.dumps({"provenance": origin, **{key: result[key] for key in result if key != "provenance"}}, indent=1)
    if a_line_each:
        text = re.sub(r"\n {3,}([^ ])", r" \1", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(text + "\n")


def markdown_table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
