"""Measuring side by side on a noisy machine: in turns, several times, medians and ratios."""

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

# Threads of BLAS and OpenMP spin for tens of milliseconds after their work, and would take a core from whoever is next.
_REST_S = 0.2


def in_turns(rates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure several things in turn, A B C A B C ..., after one unmeasured round, with a rest before each.

    Args:
      rates: functions that do the work once and return a rate (per second).
      rounds: how often each is measured.

    Returns:
      Each one's measured rates, in order: the i-th of each were taken in the same round.
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
    """Median, smallest and largest of the rounds' ratios."""
    ratios = np.array(ours) / np.array(theirs)
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def timed(work: Callable[[], Any], count: int) -> float:
    """`count` per second of one call of `work`."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
    }


def provenance() -> dict[str, Any]:
    """Where a file's numbers come from: the command, and what it ran on. The load is that of the command's start."""
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
    """The commit that was measured, where git can tell."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def write_json(
    path: Path | None, result: Mapping[str, Any], a_line_each: bool = False, parts: Sequence[str] = ()
) -> None:
    """Keep a result and its provenance.

    Args:
      path: None to keep nothing.
      result: what was found.
      a_line_each: write what lies three levels deep and deeper on one line, so that each cell of a study has a line.
      parts: which parts of the result this command measured, where several commands fill one file. The provenance then holds
        one for each part, and `result` brings along those of the parts that were there already.
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
    """A table to paste into a page."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
